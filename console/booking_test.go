package console_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

// booking is a session that no event exists for yet.
func booking(t *testing.T, edit ...func(map[string]any)) string {
	t.Helper()
	body := map[string]any{}
	if err := json.Unmarshal([]byte(sessionBody("", 9)), &body); err != nil {
		t.Fatal(err)
	}
	delete(body, "outlook")
	for _, e := range edit {
		e(body)
	}
	return toJSON(t, body)
}

func at(start, end string) func(map[string]any) {
	return func(body map[string]any) { body["starts_at"], body["ends_at"] = start, end }
}

type outlookJSON struct {
	ID, Status string
	StartsAt   string `json:"starts_at"`
	Version    int64
	Outlook    struct {
		State           string
		Reason, EventID *string
	}
}

// kinds are the kinds of a session's changes.
func (a *api) kinds(session string) []string {
	a.t.Helper()
	var kinds []string
	for _, c := range decode[listJSON[changeJSON]](a.t, a.get(sessionPath(adaTenant, session)+"/changes").want(a.t, 200)).Items {
		kinds = append(kinds, c.Source+" "+c.Kind)
	}
	return kinds
}

func TestBookMoveCancel(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2", "p-3")
	path := sessionPath(adaTenant, "s-1")
	booked := decode[outlookJSON](t, a.put(path, booking(t)).want(t, 201))
	if booked.Status != "scheduled" || booked.Outlook.State != "pending" || booked.Outlook.EventID != nil || booked.Outlook.Reason == nil {
		t.Errorf("booked: %+v", booked)
	}
	// To say it again, in another way too, changes nothing.
	a.put(path, booking(t)).want(t, 200)
	a.put(path, booking(t, func(b map[string]any) { b["outlook"] = map[string]any{"event_id": nil} })).want(t, 200)
	if again := decode[outlookJSON](t, a.put(path, booking(t, func(b map[string]any) { b["outlook"] = nil })).want(t, 200)); again.Version != booked.Version {
		t.Errorf("repeated: %+v", again)
	}

	moved := decode[outlookJSON](t, a.put(path, booking(t, at("2099-12-02T10:00:00+01:00", "2099-12-02T11:00:00+01:00"))).want(t, 200))
	if moved.StartsAt != "2099-12-02T09:00:00Z" || moved.Outlook.State != "pending" {
		t.Errorf("moved: %+v", moved)
	}
	people := booking(t, at("2099-12-02T09:00:00Z", "2099-12-02T10:00:00Z"), func(b map[string]any) { b["attendees"] = []string{"p-3"} })
	a.put(path, people).want(t, 200)
	a.put(path, booking(t, func(b map[string]any) { b["organizer"] = "p-3" })).refused(t, 409, "organizer")

	cancelled := decode[outlookJSON](t, a.post(path+"/cancel", `{"comment":"Sorry,\nGrace is ill."}`).want(t, 200))
	if cancelled.Status != "cancelled" {
		t.Errorf("cancelled: %+v", cancelled)
	}
	if again := decode[outlookJSON](t, a.post(path+"/cancel", "").want(t, 200)); again.Version != cancelled.Version {
		t.Errorf("cancelled again: %+v", again)
	}
	p := a.put(path, booking(t)).refused(t, 409, "status")
	if p.Type != "urn:pairsync:problem:conflict" || !strings.Contains(p.Detail, "book a new one") {
		t.Errorf("a cancelled session is put with %+v", p)
	}
	want := []string{"platform booked", "platform rescheduled", "platform attendee_added", "platform attendee_removed", "platform cancelled"}
	got := a.kinds("s-1")
	if len(got) == 5 && got[2] == "platform attendee_removed" {
		got[2], got[3] = got[3], got[2]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
}

func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	path := sessionPath(adaTenant, "s-1") + "/cancel"
	a.post(path, "").refused(t, 404, "")
	a.put(sessionPath(adaTenant, "s-1"), booking(t)).want(t, 201)
	for name, tc := range map[string]struct{ body, field string }{
		"a number":   {`{"comment":1}`, "comment"},
		"too long":   {`{"comment":"` + strings.Repeat("x", 2001) + `"}`, "comment"},
		"a bell":     {`{"comment":"ring\u0007"}`, "comment"},
		"misspelt":   {`{"coment":"x"}`, "coment"},
		"not a body": {`[]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.post(path, tc.body).refused(t, 422, tc.field)
		})
	}
	a.request("POST", path, adaToken, "").want(t, 200)
	a.request("POST", sessionPath(otherTenant, "s-1")+"/cancel", adaToken, "").want(t, 404)
	a.get(path).want(t, 405)
}

type pendingItem struct {
	ID, Session, Kind, Status string
	Before, After             map[string]any
}

// asking makes a tenant that wants to be asked, with a session that somebody moved in Outlook.
func (a *api) asking(kind string) pendingItem {
	a.t.Helper()
	a.people(adaTenant, "p-1", "p-2")
	a.put(tenantPath(adaTenant), strings.TrimSuffix(tenantBody, "}")+`,"policy":{"reschedule":"ask","cancel":"ask"}}`).want(a.t, 200)
	a.put(sessionPath(adaTenant, "s-1"), sessionBody("event-1", 9)).want(a.t, 201)
	a.observe("s-1", func(*model.Observation) {})
	a.observe("s-1", func(o *model.Observation) {
		if kind == "cancelled" {
			o.Cancelled = true
			return
		}
		o.StartsAt, o.EndsAt = o.StartsAt.Add(time.Hour), o.EndsAt.Add(time.Hour)
	})
	list := decode[listJSON[pendingItem]](a.t, a.get(tenantPath(adaTenant)+"/pending").want(a.t, 200))
	if len(list.Items) != 1 || list.Items[0].Kind != kind || list.Items[0].Status != "open" || list.Items[0].Session != "s-1" {
		a.t.Fatalf("pending: %+v", list)
	}
	return list.Items[0]
}

func TestPendingApplied(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	pending := a.asking("rescheduled")
	waiting := decode[outlookJSON](t, a.get(sessionPath(adaTenant, "s-1")).want(t, 200))
	if waiting.StartsAt != "2099-12-01T09:00:00Z" || waiting.Outlook.State != "pending" || *waiting.Outlook.Reason != "awaiting_answer" {
		t.Errorf("the session that waits: %+v", waiting)
	}
	base := tenantPath(adaTenant) + "/pending/"
	applied := decode[pendingItem](t, a.post(base+pending.ID+"/apply", "").want(t, 200))
	if applied.Status != "applied" {
		t.Errorf("applied: %+v", applied)
	}
	a.post(base+pending.ID+"/apply", "{}").want(t, 200)
	a.post(base+pending.ID+"/undo", "").refused(t, 409, "")
	if got := decode[outlookJSON](t, a.get(sessionPath(adaTenant, "s-1")).want(t, 200)); got.StartsAt != "2099-12-01T10:00:00Z" || got.Outlook.State != "in_sync" {
		t.Errorf("the session: %+v", got)
	}
	if diff := cmp.Diff([]string{"platform booked", "outlook change_pending", "outlook rescheduled"}, a.kinds("s-1")); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{"": 0, "?status=open": 0, "?status=applied": 1, "?status=all": 1, "?status=undone": 0} {
		if list := decode[listJSON[pendingItem]](t, a.get(tenantPath(adaTenant)+"/pending"+query).want(t, 200)); len(list.Items) != want {
			t.Errorf("%s lists %d, want %d", query, len(list.Items), want)
		}
	}
	a.get(tenantPath(adaTenant)+"/pending?status=maybe").refused(t, 400, "status")
	a.post(base+"nonsense/apply", "").refused(t, 404, "")
	a.post(base+"00000000-0000-4000-8000-000000000000/undo", "").refused(t, 404, "")
	a.post(base+pending.ID+"/apply", `{"why":"so"}`).refused(t, 422, "why")
	a.request("POST", tenantPath(otherTenant)+"/pending/"+pending.ID+"/apply", allToken, "").refused(t, 404, "")
}

func TestPendingUndone(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	pending := a.asking("cancelled")
	undone := decode[pendingItem](t, a.post(tenantPath(adaTenant)+"/pending/"+pending.ID+"/undo", "").want(t, 200))
	if undone.Status != "undone" {
		t.Errorf("undone: %+v", undone)
	}
	got := decode[outlookJSON](t, a.get(sessionPath(adaTenant, "s-1")).want(t, 200))
	if got.Status != "scheduled" || got.Outlook.State != "pending" {
		t.Errorf("the session: %+v", got)
	}
}
