package simulator

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// draft is a body for a new event.
func draft(subject string, more ...map[string]any) map[string]any {
	body := map[string]any{
		"subject": subject, "start": wallTime{monday().Format(localTime), "UTC"},
		"end": wallTime{monday().Add(time.Hour).Format(localTime), "UTC"},
	}
	for _, m := range more {
		maps.Copy(body, m)
	}
	return body
}

func (o *office) events(t *testing.T, name string) string {
	t.Helper()
	return "/users/" + o.id(t, email(name)) + "/events"
}

func TestCreateTwiceWithOneTransaction(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	path := o.events(t, "Ada")
	first := o.graph(t, 201, http.MethodPost, path, draft("Once", map[string]any{"transactionId": "t-1"}), immutable())
	second := o.graph(t, 201, http.MethodPost, path, draft("Once", map[string]any{"transactionId": "t-1"}), immutable())
	third := o.graph(t, 201, http.MethodPost, path, draft("Once", map[string]any{"transactionId": "t-2"}), immutable())
	if first["id"] != second["id"] || first["id"] == third["id"] {
		t.Errorf("ids %v, %v, %v", first["id"], second["id"], third["id"])
	}
	if _, there := o.graph(t, 201, http.MethodPost, path, draft("None"))["transactionId"]; there {
		t.Error("transactionId is shown although none was given")
	}
}

func TestUpdateWithIfMatch(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	created := o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("First"))
	path := o.events(t, "Ada") + "/" + url.PathEscape(text(t, created, "id"))
	etag := text(t, created, "@odata.etag")
	updated := o.graph(t, 200, http.MethodPatch, path, map[string]any{"subject": "Second"}, with("If-Match", etag))
	if updated["subject"] != "Second" || updated["@odata.etag"] == etag {
		t.Errorf("updated to %v with etag %v", updated["subject"], updated["@odata.etag"])
	}
	refused := o.graph(t, 412, http.MethodPatch, path, map[string]any{"subject": "Third"}, with("If-Match", etag))
	if code(refused) != "ErrorIrresolvableConflict" {
		t.Errorf("code %s", code(refused))
	}
	o.graph(t, 412, http.MethodDelete, path, nil, with("If-Match", etag))
	o.graph(t, 200, http.MethodPatch, path, map[string]any{"subject": "Fourth"}, with("If-Match", "*"))
	if got := text(t, o.graph(t, 200, http.MethodGet, path, nil), "subject"); got != "Fourth" {
		t.Errorf("subject %s", got)
	}
}

func TestUpdateReachesTheAttendees(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	if err := o.Accept(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	o.graph(t, 200, http.MethodPatch, o.events(t, "Ada")+"/"+b.ID, map[string]any{
		"subject": "Renamed", "location": map[string]any{"displayName": "Room 1"}, "showAs": "oof",
	})
	grace := o.graph(t, 200, http.MethodGet, o.events(t, "Grace")+"/"+b.Copies[email("Grace")], nil)
	if grace["subject"] != "Renamed" || text(t, grace, "location", "displayName") != "Room 1" {
		t.Errorf("attendee's copy %v", grace)
	}
	if grace["showAs"] != "busy" || text(t, grace, "responseStatus", "response") != answerAccepted {
		t.Errorf("attendee shows as %v, answered %v", grace["showAs"], grace["responseStatus"])
	}
	// What an attendee writes stays on their own copy.
	o.graph(t, 200, http.MethodPatch, o.events(t, "Grace")+"/"+b.Copies[email("Grace")], map[string]any{"subject": "Mine"})
	if v, err := o.Event(b.ID); err != nil || v.Subject != "Renamed" || v.Attendees[0].Response != answerAccepted {
		t.Errorf("organizer's copy %+v, %v", v, err)
	}
}

func TestAttendeesAddedAndRemoved(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	if err := o.AddAttendee(b.ID, email("Alan")); err != nil {
		t.Fatal(err)
	}
	if v, err := o.CopyOf(email("Alan"), b.ID); err != nil || v.Response != answerNotResponded {
		t.Errorf("the new attendee's copy %+v, %v", v, err)
	}
	if err := o.RemoveAttendee(b.ID, strings.ToUpper(email("Grace"))); err != nil {
		t.Fatal(err)
	}
	if v, err := o.CopyOf(email("Grace"), b.ID); err != nil || !v.Cancelled {
		t.Errorf("the removed attendee's copy %+v, %v", v, err)
	}
	v, err := o.Event(b.ID)
	if err != nil || v.Cancelled || len(v.Attendees) != 1 || v.Attendees[0].Email != email("Alan") {
		t.Errorf("organizer's copy %+v, %v", v, err)
	}
	if err := o.RemoveAttendee(b.ID, email("Grace")); err == nil {
		t.Error("somebody was removed twice")
	}
	if err := o.AddAttendee(b.ID, email("Grace")); err != nil {
		t.Fatal(err)
	}
	if v, err := o.CopyOf(email("Grace"), b.ID); err != nil || v.Cancelled {
		t.Errorf("invited again %+v, %v", v, err)
	}
}

func TestOnlineMeetingKeepsItsLink(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	if !strings.HasPrefix(b.JoinURL, "https://teams.microsoft.com/l/meetup-join/") {
		t.Errorf("join link %q", b.JoinURL)
	}
	path := o.events(t, "Ada") + "/" + b.ID
	got := o.graph(t, 200, http.MethodPatch, path, map[string]any{"isOnlineMeeting": false, "subject": "x"})
	if text(t, got, "onlineMeeting", "joinUrl") != b.JoinURL || got["onlineMeetingProvider"] != "teamsForBusiness" {
		t.Errorf("link %v", got["onlineMeeting"])
	}
	if err := o.NewLink(b.ID); err != nil {
		t.Fatal(err)
	}
	v, err := o.CopyOf(email("Grace"), b.ID)
	if err != nil || v.JoinURL == b.JoinURL || v.JoinURL == "" {
		t.Errorf("attendee's link %q, %v", v.JoinURL, err)
	}
}

func TestOnlyWhatIsSelectedIsAnswered(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	got := o.graph(t, 200, http.MethodGet, o.events(t, "Ada")+"/"+b.ID+"?$select=start,isCancelled", nil)
	var names []string
	for name := range got {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"@odata.context", "@odata.etag", "id", "isCancelled", "start"}; !slices.Equal(names, want) {
		t.Errorf("answered %v, want %v", names, want)
	}
	if got := o.graph(t, 400, http.MethodGet, o.events(t, "Ada")+"/"+b.ID+"?$select=subjct", nil); code(got) != "RequestBroker--ParseUri" {
		t.Errorf("code %s", code(got))
	}
}

func TestPagesOfEvents(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	want := map[string]bool{}
	for range 25 {
		b, err := o.AddPrivateEvent(email("Ada"), "x", monday(), monday().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		want[b.ID] = true
	}
	for _, first := range []string{"/events", "/events?$top=7&$select=id", "/calendarView?startDateTime=" + url.QueryEscape(monday().Format(time.RFC3339)) +
		"&endDateTime=" + monday().Add(time.Hour).Format("2006-01-02T15:04:05")} {
		got := map[string]bool{}
		next := "/users/" + o.id(t, email("Ada")) + first
		pages := 0
		for next != "" {
			page := o.graph(t, 200, http.MethodGet, next, nil, immutable())
			for _, v := range page["value"].([]any) {
				got[text(t, v.(map[string]any), "id")] = true
			}
			link, _ := page["@odata.nextLink"].(string)
			next = strings.TrimPrefix(link, o.url+"/v1.0")
			pages++
		}
		if len(got) != len(want) || pages < 3 {
			t.Errorf("%s: %d events on %d pages, want %d", first, len(got), pages, len(want))
		}
	}
}

func TestLookUpByICalUID(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	o.pair(t)
	find := func(name, uid string) []any {
		return o.graph(t, 200, http.MethodGet, o.events(t, name)+"?$filter="+url.QueryEscape("iCalUId eq '"+uid+"'"), nil, immutable())["value"].([]any)
	}
	for name, id := range map[string]string{"Ada": b.ID, "Grace": b.Copies[email("Grace")]} {
		if got := find(name, b.ICalUID); len(got) != 1 || text(t, got[0].(map[string]any), "id") != id {
			t.Errorf("%s finds %v", name, got)
		}
	}
	if got := find("Alan", b.ICalUID); len(got) != 0 {
		t.Errorf("Alan finds %v", got)
	}
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	if got := find("Ada", b.ICalUID); len(got) != 0 {
		t.Errorf("after the cancellation Ada finds %v", got)
	}
	if got := o.graph(t, 400, http.MethodGet, o.events(t, "Ada")+"?$filter=uid%20eq%20'x'", nil); code(got) != "ErrorInvalidUrlQueryFilter" {
		t.Errorf("code %s", code(got))
	}
}

func TestBadBodiesAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	tests := map[string]struct {
		body any
		code string
	}{
		"nothing":                {"", "BadRequest"},
		"no JSON":                {"{", "BadRequest"},
		"no object":              {"[]", "BadRequest"},
		"null":                   {"null", "ErrorPropertyValidationFailure"},
		"unknown property":       {draft("x", map[string]any{"subjct": "x"}), "RequestBodyRead"},
		"wrong type":             {draft("x", map[string]any{"isAllDay": "yes"}), "RequestBodyRead"},
		"wrong enum":             {draft("x", map[string]any{"showAs": "bussy"}), "RequestBodyRead"},
		"no times":               {map[string]any{"subject": "x"}, "ErrorPropertyValidationFailure"},
		"end before start":       {draft("x", map[string]any{"end": wallTime{"2001-01-01T00:00:00", "UTC"}}), "ErrorCalendarEndDateIsEarlierThanStartDate"},
		"unknown zone":           {draft("x", map[string]any{"start": wallTime{"2031-01-01T00:00:00", "Moon"}}), "ErrorInvalidRequest"},
		"no date":                {draft("x", map[string]any{"start": wallTime{"soon", "UTC"}}), "ErrorInvalidRequest"},
		"attendee without email": {draft("x", map[string]any{"attendees": []any{map[string]any{"type": "required"}}}), "ErrorInvalidRecipients"},
		"unknown pattern": {draft("x", map[string]any{"recurrence": map[string]any{
			"pattern": map[string]any{"type": "relativeMonthly", "interval": 1}, "range": map[string]any{"type": "noEnd"},
		}}), "ErrorInvalidRequest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := o.graph(t, 400, http.MethodPost, o.events(t, "Ada"), test.body); code(got) != test.code {
				t.Errorf("code %q, want %q", code(got), test.code)
			}
		})
	}
}

func TestTranslateIDs(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	got := o.graph(t, 200, http.MethodPost, "/users/"+b.Mailbox+"/translateExchangeIds", map[string]any{
		"inputIds": []string{b.DefaultID}, "sourceIdType": "restId", "targetIdType": "restImmutableEntryId",
	})["value"].([]any)
	if len(got) != 1 || text(t, got[0].(map[string]any), "targetId") != b.ID {
		t.Errorf("translated to %v", got)
	}
}
