package simulator

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func invited(people ...string) map[string]any {
	var list []any
	for _, p := range people {
		list = append(list, map[string]any{"emailAddress": map[string]any{"address": email(p), "name": p}, "type": "required"})
	}
	return map[string]any{"attendees": list}
}

func TestLostAnswerIsFoundByItsTransaction(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	path, body := o.events(t, "Ada"), draft("Once", invited("Grace"), map[string]any{"transactionId": "t-1", "isOnlineMeeting": true})
	o.AddFault(Fault{Operation: "create_event", Lost: true, Times: 1})
	if resp, err := o.client.Do(o.request(t, http.MethodPost, path, body)); err == nil {
		_ = resp.Body.Close()
		t.Fatalf("the answer was not lost: %d", resp.StatusCode)
	}
	again := o.request(t, http.MethodPost, path, body, immutable())
	resp, err := o.client.Do(again)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || !strings.Contains(resp.Header.Get("Location"), "/events/") {
		t.Errorf("%d, Location %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	all, err := o.Calendar(email("Grace"), monday().Add(-time.Hour), monday().Add(3*time.Hour))
	if err != nil || len(all) != 1 || all[0].JoinURL == "" || all[0].Response != answerNotResponded {
		t.Fatalf("Grace has %+v, %v", all, err)
	}
	// Microsoft's own word is that a transaction is booked once; the world has seen otherwise.
	o.SetBehaviour(Behaviour{IgnoreTransactions: true})
	o.graph(t, 201, http.MethodPost, path, body)
	if all, err = o.Calendar(email("Grace"), monday().Add(-time.Hour), monday().Add(3*time.Hour)); err != nil || len(all) != 2 {
		t.Errorf("Grace has %d events, %v", len(all), err)
	}
}

func TestMovingByGraphVoidsTheAnswers(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	created := o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("Pair", invited("Grace")), immutable())
	id := text(t, created, "id")
	if err := o.Accept(email("Grace"), id); err != nil {
		t.Fatal(err)
	}
	path := o.events(t, "Ada") + "/" + id
	etag := text(t, o.graph(t, 200, http.MethodGet, path, nil), "@odata.etag")
	to := monday().Add(3 * time.Hour)
	times := map[string]any{"start": wallTime{to.Format(localTime), "UTC"}, "end": wallTime{to.Add(time.Hour).Format(localTime), "UTC"}}
	o.graph(t, 412, http.MethodPatch, path, times, with("If-Match", text(t, created, "@odata.etag")))
	moved := o.graph(t, 200, http.MethodPatch, path, times, with("If-Match", etag), immutable())
	if moved["id"] != id || moved["@odata.etag"] == etag {
		t.Errorf("moved to %v with %v", moved["id"], moved["@odata.etag"])
	}
	who := moved["attendees"].([]any)[0].(map[string]any)
	if text(t, who, "status", "response") != answerNotResponded || !strings.HasPrefix(text(t, who, "status", "time"), "4501-01-01") {
		t.Errorf("attendee %v", who)
	}
	v, err := o.Event(id)
	if err != nil || !v.Attendees[0].AskedAgain || v.Attendees[0].RespondedAt != nil {
		t.Errorf("organizer sees %+v, %v", v.Attendees, err)
	}
	grace, err := o.CopyOf(email("Grace"), id)
	if err != nil || !grace.Start.Equal(to) || grace.Response != answerNotResponded {
		t.Errorf("Grace sees %+v, %v", grace, err)
	}
	// New words alone void nothing.
	if err := o.Accept(email("Grace"), id); err != nil {
		t.Fatal(err)
	}
	o.graph(t, 200, http.MethodPatch, path, map[string]any{"subject": "Other words"})
	if v, err = o.Event(id); err != nil || v.Attendees[0].Response != answerAccepted || v.Attendees[0].AskedAgain {
		t.Errorf("after the new subject %+v, %v", v.Attendees, err)
	}
}

func TestAttendeesChangedByGraph(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	id := text(t, o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("Pair", invited("Grace")), immutable()), "id")
	if err := o.Accept(email("Grace"), id); err != nil {
		t.Fatal(err)
	}
	path := o.events(t, "Ada") + "/" + id
	o.graph(t, 200, http.MethodPatch, path, invited("Grace", "Alan"))
	v, err := o.Event(id)
	if err != nil || len(v.Attendees) != 2 || v.Attendees[0].Response != answerAccepted || v.Attendees[1].Response != answerNone {
		t.Errorf("organizer sees %+v, %v", v.Attendees, err)
	}
	if alan, err := o.CopyOf(email("Alan"), id); err != nil || alan.Response != answerNotResponded {
		t.Errorf("Alan sees %+v, %v", alan, err)
	}
	o.graph(t, 200, http.MethodPatch, path, invited("Alan"))
	if grace, err := o.CopyOf(email("Grace"), id); err != nil || !grace.Cancelled {
		t.Errorf("Grace sees %+v, %v", grace, err)
	}
	if v, err = o.Event(id); err != nil || v.Cancelled {
		t.Errorf("organizer sees %+v, %v", v, err)
	}
}

func TestCancellationSaysWhy(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	o.graph(t, 400, http.MethodPost, o.events(t, "Grace")+"/"+b.Copies[email("Grace")]+"/cancel", map[string]any{"comment": "no"})
	o.graph(t, 202, http.MethodPost, o.events(t, "Ada")+"/"+b.ID+"/cancel", map[string]any{"comment": "I am ill."})
	if got := o.graph(t, 404, http.MethodGet, o.events(t, "Ada")+"/"+url.PathEscape(b.DefaultID), nil); code(got) != "ErrorItemNotFound" {
		t.Errorf("code %s", code(got))
	}
	o.graph(t, 404, http.MethodPost, o.events(t, "Ada")+"/"+b.ID+"/cancel", map[string]any{"comment": "Again."})
	grace, err := o.CopyOf(email("Grace"), b.ID)
	if err != nil || !grace.Cancelled || grace.Comment != "I am ill." || !strings.HasPrefix(grace.Subject, "Canceled: ") {
		t.Errorf("Grace sees %+v, %v", grace, err)
	}
	if err := o.Restore(email("Ada"), b.ID); err != nil {
		t.Fatal(err)
	}
	if grace, err = o.CopyOf(email("Grace"), b.ID); err != nil || grace.Cancelled || grace.Comment != "" {
		t.Errorf("after all Grace sees %+v, %v", grace, err)
	}
	var shown struct{ Event View }
	o.control(t, 204, http.MethodPost, "/act", map[string]any{"do": "cancel", "event": b.ID, "comment": "Now for good."}, nil)
	o.control(t, 200, http.MethodGet, "/events/"+b.ID+"?person="+email("Grace"), nil, &shown)
	if shown.Event.Comment != "Now for good." {
		t.Errorf("Grace sees %+v", shown.Event)
	}
}

func TestNewBodyMustKeepTheLink(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	created := o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("Pair", invited("Grace"), map[string]any{
		"isOnlineMeeting": true, "onlineMeetingProvider": "teamsForBusiness", "body": map[string]any{"contentType": "text", "content": "Hello"},
	}), immutable())
	path, link := o.events(t, "Ada")+"/"+text(t, created, "id"), text(t, created, "onlineMeeting", "joinUrl")
	body := text(t, created, "body", "content")
	if !strings.HasPrefix(body, "Hello") || !strings.Contains(body, link) {
		t.Errorf("body %q", body)
	}
	patch := func(content string) map[string]any {
		return o.graph(t, 200, http.MethodPatch, path, map[string]any{"body": map[string]any{"contentType": "text", "content": content}})
	}
	if got := patch("Well, " + body); text(t, got, "onlineMeeting", "joinUrl") != link {
		t.Errorf("link %v", got["onlineMeeting"])
	}
	if got := patch("Hello"); got["isOnlineMeeting"] != false || got["onlineMeeting"] != nil {
		t.Errorf("without its link it is %v, %v", got["isOnlineMeeting"], got["onlineMeeting"])
	}
}

func TestTokenFaultsBearANumber(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	token := text(t, o.connect(t, email("Ada")), "refresh_token")
	o.control(t, 200, http.MethodPost, "/faults", map[string]any{
		"operation": "token", "status": 400, "code": "invalid_grant", "number": 50078, "message": "Presented multi-factor authentication has expired.", "times": 1,
	}, nil)
	status, body := o.form(t, contoso, refreshing(token))
	wantNumber(t, status, body, "invalid_grant", 50078)
	if status, body = o.form(t, contoso, refreshing(token)); status != http.StatusOK {
		t.Errorf("after the fault %d %v", status, body)
	}
}
