package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func boxA() Mailbox { return Mailbox{Tenant: tenantA, User: mailboxA} }

// bookedEvent is an event as Graph answers writes: whole, with all that we don't read.
func bookedEvent(id, key string, start time.Time) string {
	return fmt.Sprintf(`{"@odata.etag": "W/\"%s\"", "id": %q, "changeKey": %q, "iCalUId": "uid", "subject": "never read",
		"lastModifiedDateTime": "2027-06-01T08:00:00.1234567Z", "isCancelled": false, "type": "singleInstance",
		"start": {"dateTime": %q, "timeZone": "UTC"}, "end": {"dateTime": %q, "timeZone": "UTC"},
		"onlineMeeting": {"joinUrl": "https://teams.example/1"}, "body": {"contentType": "html", "content": "secret"}, "attendees": []}`,
		key, id, key, start.Format("2006-01-02T15:04:05.0000000"), start.Add(30*time.Minute).Format("2006-01-02T15:04:05.0000000"))
}

func summerDay() time.Time { return time.Date(2027, 7, 1, 9, 0, 0, 0, time.UTC) }

func draft() EventDraft {
	return EventDraft{
		Subject: "Mentoring", Start: summerDay(), End: summerDay().Add(30 * time.Minute), TimeZone: "Europe/Berlin", Teams: true,
		Attendees:     []Person{{Email: "grace@contoso.example", Name: "Grace"}, {Email: "room@contoso.example", Type: "resource"}},
		TransactionID: "tx-1",
	}
}

// sent is the JSON of a request's body.
func sent(t *testing.T, r seenRequest) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		t.Fatalf("body %q: %v", r.Body, err)
	}
	return body
}

func TestCreateEventAsItIsSent(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusCreated, bookedEvent("e1", "k1", summerDay())))
	ev, err := s.client(t).CreateEvent(t.Context(), boxA(), draft())
	if err != nil {
		t.Fatal(err)
	}
	if ev.ID != "e1" || ev.ChangeKey != "k1" || ev.JoinURL == "" || !ev.Start.Equal(summerDay()) {
		t.Errorf("event %+v", ev)
	}
	r := s.seen()[0]
	if r.Method != http.MethodPost || r.Path != "/v1.0/users/"+mailboxA+"/events" || r.Header.Get("Prefer") != prefer {
		t.Errorf("%s %s, Prefer %q", r.Method, r.Path, r.Header.Get("Prefer"))
	}
	at := func(clock string) map[string]any {
		return map[string]any{"dateTime": "2027-07-01T" + clock + ":00.0000000", "timeZone": "W. Europe Standard Time"}
	}
	want := map[string]any{
		"@odata.type": "#microsoft.graph.event",
		"subject":     "Mentoring", "start": at("11:00"), "end": at("11:30"), "transactionId": "tx-1",
		"isOnlineMeeting": true, "onlineMeetingProvider": "teamsForBusiness",
		"attendees": []any{
			map[string]any{"@odata.type": "#microsoft.graph.attendee", "type": "required", "emailAddress": map[string]any{"address": "grace@contoso.example", "name": "Grace"}},
			map[string]any{"@odata.type": "#microsoft.graph.attendee", "type": "resource", "emailAddress": map[string]any{"address": "room@contoso.example"}},
		},
	}
	got := sent(t, r)
	for _, odata := range []map[string]any{want, got} {
		delete(odata, "@odata.type")
		for _, a := range odata["attendees"].([]any) {
			delete(a.(map[string]any), "@odata.type")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// Real Graph answers a transaction that it knows with the event if the content is the same, and else refuses it and names the
// event, or doesn't.
func TestCreateEventOfAKnownTransaction(t *testing.T) {
	t.Parallel()
	for name, named := range map[string]string{"named": `, "@event.existingEventId": "e7"`, "not named": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPost:
					answer(http.StatusBadRequest, `{"error": {"code": "ErrorDuplicateTransactionId", "message": "Your request can't be completed."`+named+`}}`)(w, r)
				case strings.HasSuffix(r.URL.Path, "/events/e7"):
					answer(http.StatusOK, bookedEvent("e7", "k7", summerDay().Add(time.Hour)))(w, r)
				case r.URL.Query().Get("page") == "":
					answer(http.StatusOK, `{"value": [{"id": "e9"}], "@odata.nextLink": "http://`+r.Host+`/v1.0/users/x/events?page=2"}`)(w, r)
				default:
					answer(http.StatusOK, `{"value": [{"id": "e8", "transactionId": "tx-8"}, {"id": "e7", "transactionId": "TX-1"}]}`)(w, r)
				}
			})
			ev, err := s.client(t).CreateEvent(t.Context(), boxA(), draft())
			if err != nil || ev.ID != "e7" || !ev.Start.Equal(summerDay().Add(time.Hour)) {
				t.Errorf("event %+v, %v", ev, err)
			}
			for _, r := range s.seen() {
				if r.Method == http.MethodGet && strings.HasSuffix(r.Path, "/events") && !strings.Contains(r.RawQuery, "page=") &&
					(strings.Contains(r.RawQuery, "subject") || !strings.Contains(r.RawQuery, "transactionId")) {
					t.Errorf("it asks for %s", r.RawQuery)
				}
			}
		})
	}
}

func TestEventByTransaction(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, `{"value": [{"id": "e8", "transactionId": "tx-8"}, {"id": "e9", "transactionId": null}]}`))
	if _, err := s.client(t).EventByTransaction(t.Context(), boxA(), "tx-1"); KindOf(err) != KindNotFound {
		t.Errorf("error %v", err)
	}
}

// A mailbox's server may not know the zone: then the time counts for more than how it is shown.
func TestZoneThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Start struct{ TimeZone string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Start.TimeZone != "UTC" {
			answer(http.StatusBadRequest, `{"error": {"code": "TimeZoneNotSupportedException", "message": "A valid TimeZone value must be specified."}}`)(w, r)
			return
		}
		answer(http.StatusOK, bookedEvent("e1", "k2", summerDay()))(w, r)
	})
	c := s.client(t)
	if _, err := c.CreateEvent(t.Context(), boxA(), draft()); err != nil {
		t.Error(err)
	}
	if _, err := c.UpdateEvent(t.Context(), boxA(), "e1", "k1", EventPatch{Start: draft().Start, End: draft().End, TimeZone: "Europe/Berlin"}); err != nil {
		t.Error(err)
	}
	if n := len(s.seen()); n != 4 {
		t.Errorf("%d calls", n)
	}
}

func TestUpdateEventAsItIsSent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		patch EventPatch
		want  map[string]any
	}{
		"nothing": {EventPatch{}, map[string]any{}},
		"times": {
			EventPatch{Start: summerDay(), End: summerDay().Add(time.Hour)}, map[string]any{
				"start": map[string]any{"dateTime": "2027-07-01T09:00:00.0000000", "timeZone": "UTC"},
				"end":   map[string]any{"dateTime": "2027-07-01T10:00:00.0000000", "timeZone": "UTC"},
			},
		},
		"subject": {EventPatch{Subject: "New"}, map[string]any{"subject": "New"}},
		"nobody":  {EventPatch{Attendees: []Person{}}, map[string]any{"attendees": []any{}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, answer(http.StatusOK, bookedEvent("e1", "k2", summerDay())))
			ev, err := s.client(t).UpdateEvent(t.Context(), boxA(), "e1", "k1", tt.patch)
			if err != nil || ev.ChangeKey != "k2" {
				t.Fatalf("event %+v, %v", ev, err)
			}
			r := s.seen()[0]
			if r.Method != http.MethodPatch || r.Header.Get("If-Match") != `W/"k1"` {
				t.Errorf("%s with If-Match %q", r.Method, r.Header.Get("If-Match"))
			}
			got := sent(t, r)
			delete(got, "@odata.type")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWritesThatFail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer http.HandlerFunc
		want   Kind
	}{
		"changed":      {answer(http.StatusPreconditionFailed, `{"error": {"code": "ErrorIrresolvableConflict", "message": "x"}}`), KindPrecondition},
		"changed, 409": {answer(http.StatusConflict, `{"error": {"code": "ErrorIrresolvableConflict", "message": "x"}}`), KindPrecondition},
		"no code":      {answer(http.StatusPreconditionFailed, ``), KindPrecondition},
		"gone":         {answer(http.StatusNotFound, `{"error": {"code": "ErrorItemNotFound", "message": "x"}}`), KindNotFound},
		"no access":    {answer(http.StatusForbidden, `{"error": {"code": "ErrorAccessDenied", "message": "x"}}`), KindMailbox},
		"too many":     {answer(http.StatusTooManyRequests, ``, "Retry-After", "2.5"), KindThrottled},
		"refused":      {answer(http.StatusBadRequest, `{"error": {"code": "ErrorInvalidRequest", "message": "x"}}`), KindInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, tt.answer)
			calls := map[string]func(c *Client) error{
				"update": func(c *Client) error {
					_, err := c.UpdateEvent(t.Context(), boxA(), "e1", "k1", EventPatch{Subject: "x"})
					return err
				},
				"cancel": func(c *Client) error { return c.CancelEvent(t.Context(), boxA(), "e1", "sorry") },
				"delete": func(c *Client) error { return c.DeleteEvent(t.Context(), boxA(), "e1") },
			}
			for call, do := range calls {
				if err := do(s.client(t)); KindOf(err) != tt.want {
					t.Errorf("%s: %v, want %s", call, err, tt.want)
				}
			}
		})
	}
}
