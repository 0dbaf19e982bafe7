package console_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

func TestPutSessionLinks(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	path := sessionPath(adaTenant, "s-1")
	a.get(path).refused(t, 404, "")
	a.get(path+"/changes").refused(t, 404, "")

	first := a.put(path, sessionBody("AAMk-Event=1", 9)).want(t, 201)
	want := map[string]any{
		"id": "s-1", "tenant": adaTenant, "status": "scheduled", "organizer": "p-1",
		"starts_at": "2099-12-01T09:00:00Z", "ends_at": "2099-12-01T09:30:00Z", "time_zone": "Europe/Berlin",
		"title": "Mentoring", "online_meeting": "teams", "join_url": nil,
		"attendees": []any{map[string]any{
			"participant": "p-2", "email": "p-2@contoso.example",
			"rsvp": map[string]any{"response": "none", "responded_at": nil, "proposed_start": nil, "proposed_end": nil},
		}},
		"outlook": map[string]any{"event_id": "AAMk-Event=1", "ical_uid": nil, "change_key": nil, "last_modified_at": nil, "state": "pending", "reason": nil},
		"version": 1.0, "verified_at": nil,
	}
	if diff := cmp.Diff(want, decode[map[string]any](t, first)); diff != "" {
		t.Errorf("the new session (-want +got):\n%s", diff)
	}
	if again := a.put(path, sessionBody("AAMk-Event=1", 9)).want(t, 200); string(again.body) != string(first.body) {
		t.Errorf("the same PUT again gives %s, then %s", first.body, again.body)
	}
	// Another way to write the same times is the same request.
	elsewhere := strings.ReplaceAll(sessionBody("AAMk-Event=1", 10), ":00Z", ":00+01:00")
	a.put(path, elsewhere).want(t, 200)

	history := decode[listJSON[changeJSON]](t, a.get(path+"/changes").want(t, 200))
	if len(history.Items) != 1 || history.NextCursor != nil {
		t.Fatalf("the history is %+v", history)
	}
	if c := history.Items[0]; c.Kind != "booked" || c.Source != "platform" || c.Cause != "request" || c.Version != 1 {
		t.Errorf("the first change is %+v", c)
	}
}

// TestPutSessionAgainAfterOutlookMovedIt shows that the platform may repeat what it once said at any time.
func TestPutSessionAgainAfterOutlookMovedIt(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	path := sessionPath(adaTenant, "s-1")
	a.put(path, sessionBody("event-1", 9)).want(t, 201)
	a.observe("s-1", func(o *model.Observation) {
		o.StartsAt, o.EndsAt = o.StartsAt.Add(time.Hour), o.EndsAt.Add(time.Hour)
	})
	moved := a.get(path).want(t, 200)
	if got := decode[sessionJSON](t, moved); got.StartsAt != "2099-12-01T10:00:00Z" {
		t.Fatalf("the session starts at %s", got.StartsAt)
	}
	if again := a.put(path, sessionBody("event-1", 9)).want(t, 200); string(again.body) != string(moved.body) {
		t.Errorf("repeating the PUT gives %s, want %s", again.body, moved.body)
	}
	kinds := []string{}
	for _, c := range decode[listJSON[changeJSON]](t, a.get(path+"/changes")).Items {
		kinds = append(kinds, c.Kind)
	}
	if diff := cmp.Diff([]string{"booked", "rescheduled"}, kinds); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
}

// observe commits a reading of a session's event, as a worker would.
func (a *api) observe(session string, edit func(*model.Observation)) {
	a.t.Helper()
	stored, err := a.store.Session(a.t.Context(), adaTenant, session)
	if err != nil {
		a.t.Fatal(err)
	}
	now := time.Now().UTC()
	o := model.Observation{
		Found: true, EventID: stored.EventID, ICalUID: "uid-" + session, ChangeKey: fmt.Sprintf("key-%d", now.UnixNano()),
		StartsAt: stored.StartsAt, EndsAt: stored.EndsAt, LastModifiedAt: now, ReadAt: now,
	}
	for _, p := range stored.Attendees {
		o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: p.Email, RSVP: p.RSVP})
	}
	edit(&o)
	outcomes, err := a.store.Commit(a.t.Context(), []model.Reading{{
		Tenant: adaTenant, Session: session, Observation: o, Cause: model.CauseNotification, ReceivedAt: now, NextVerifyAt: now.Add(time.Hour),
	}})
	if err != nil || outcomes[0].Err != nil {
		a.t.Fatalf("committing a reading: %v, %+v", err, outcomes)
	}
}

func TestEveryKindOfChangeIsAsDescribed(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2", "p-3")
	a.put(sessionPath(adaTenant, "s-1"), sessionBody("event-1", 9)).want(t, 201)
	at := time.Now().UTC()
	for _, edit := range []func(*model.Observation){
		func(o *model.Observation) { o.JoinURL = "https://teams.example/1" },
		func(o *model.Observation) {
			o.Attendees[0].RSVP = model.RSVP{Response: model.ResponseAccepted, RespondedAt: &at}
		},
		func(o *model.Observation) {
			o.Attendees[0].RSVP = model.RSVP{Response: model.ResponseTentative, RespondedAt: &at, ProposedStart: &at, ProposedEnd: &at}
		},
		func(o *model.Observation) { o.JoinURL = "https://teams.example/2" },
		func(o *model.Observation) {
			o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: "P-3@Contoso.example", RSVP: model.RSVP{Response: model.ResponseNone}})
		},
		func(o *model.Observation) {
			o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: "stranger@elsewhere.example", RSVP: model.RSVP{Response: model.ResponseNone}})
		},
		func(o *model.Observation) { o.Attendees = o.Attendees[:1] },
		func(o *model.Observation) { o.StartsAt, o.EndsAt = o.StartsAt.Add(time.Hour), o.EndsAt.Add(time.Hour) },
		func(o *model.Observation) { o.Cancelled = true },
		func(o *model.Observation) { o.Cancelled = false },
		func(o *model.Observation) { o.Found = false },
		func(*model.Observation) {},
	} {
		a.observe("s-1", edit)
		a.get(sessionPath(adaTenant, "s-1")).want(t, 200)
	}
	var kinds []string
	for _, c := range decode[listJSON[changeJSON]](t, a.get(sessionPath(adaTenant, "s-1")+"/changes").want(t, 200)).Items {
		kinds = append(kinds, c.Kind)
	}
	for _, kind := range model.ChangeKinds() {
		if kind != model.KindSuperseded && kind != model.KindChangePending && !slices.Contains(kinds, string(kind)) {
			t.Errorf("no change of the kind %s came about: %v", kind, kinds)
		}
	}
}

func TestPutSessionRefuses(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	with := func(name, value string) string {
		body := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(sessionBody("event-1", 9)), &body); err != nil {
			t.Fatal(err)
		}
		body[name] = json.RawMessage(value)
		if value == "" {
			delete(body, name)
		}
		raw, _ := json.Marshal(body)
		return string(raw)
	}
	for name, tc := range map[string]struct {
		body, field string
	}{
		"no organizer":         {with("organizer", ""), "organizer"},
		"unknown organizer":    {with("organizer", `"p-9"`), "organizer"},
		"organizer a number":   {with("organizer", `1`), "organizer"},
		"no attendees":         {with("attendees", ""), "attendees"},
		"attendees a word":     {with("attendees", `"p-2"`), "attendees"},
		"attendee a number":    {with("attendees", `["p-2",7]`), "attendees[1]"},
		"attendee null":        {with("attendees", `[null]`), "attendees[0]"},
		"unknown attendee":     {with("attendees", `["p-2","p-9"]`), "attendees[1]"},
		"attendee twice":       {with("attendees", `["p-2","p-2"]`), "attendees[1]"},
		"organizer attends":    {with("attendees", `["p-2","p-1"]`), "attendees[1]"},
		"no start":             {with("starts_at", ""), "starts_at"},
		"start without offset": {with("starts_at", `"2099-12-01T09:00:00"`), "starts_at"},
		"start a date":         {with("starts_at", `"2099-12-01"`), "starts_at"},
		"start a number":       {with("starts_at", `4099680000`), "starts_at"},
		"start in year 1":      {with("starts_at", `"0001-01-01T00:00:00Z"`), "starts_at"},
		"start out of years":   {with("starts_at", `"0000-01-01T00:00:00+23:59"`), "starts_at"},
		"end in year 9999":     {with("ends_at", `"9999-12-31T23:59:59-23:59"`), "ends_at"},
		"end before start":     {with("ends_at", `"2099-12-01T08:00:00Z"`), "ends_at"},
		"end at start":         {with("ends_at", `"2099-12-01T10:00:00+01:00"`), "ends_at"},
		"no zone":              {with("time_zone", ""), "time_zone"},
		"unknown zone":         {with("time_zone", `"Europe/Atlantis"`), "time_zone"},
		"empty zone":           {with("time_zone", `""`), "time_zone"},
		"local zone":           {with("time_zone", `"Local"`), "time_zone"},
		"zone is a path":       {with("time_zone", `"../../etc/passwd"`), "time_zone"},
		"zone with seconds":    {with("time_zone", `"right/Europe/Berlin"`), "time_zone"},
		"title an object":      {with("title", `{}`), "title"},
		"title with NUL":       {with("title", `"a\u0000b"`), "title"},
		"long title":           {with("title", `"`+strings.Repeat("x", 257)+`"`), "title"},
		"other meeting":        {with("online_meeting", `"zoom"`), "online_meeting"},
		"outlook a word":       {with("outlook", `"event-1"`), "outlook"},
		"event a number":       {with("outlook", `{"event_id":7}`), "outlook.event_id"},
		"event with a space":   {with("outlook", `{"event_id":"a b"}`), "outlook.event_id"},
		"long event":           {with("outlook", `{"event_id":"`+strings.Repeat("x", 513)+`"}`), "outlook.event_id"},
		"more of outlook":      {with("outlook", `{"event_id":"a","etag":"b"}`), "outlook.etag"},
		"unknown field":        {with("organiser", `"p-1"`), "organiser"},
		"version a word":       {with("version", `"7"`), "version"},
		"version below zero":   {with("version", `-1`), "version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.put(sessionPath(adaTenant, "s-1"), tc.body).refused(t, 422, tc.field)
		})
	}
	a.put(sessionPath(otherTenant, "s-1"), sessionBody("event-1", 9)).refused(t, 404, "")
	a.get(sessionPath(adaTenant, "s-1")).want(t, 404)
}

func TestPutSessionAgainstWhatIsStored(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2", "p-3")
	path := sessionPath(adaTenant, "s-1")
	a.put(path, sessionBody("event-1", 9)).want(t, 201)
	before := a.get(path).want(t, 200)

	a.put(sessionPath(adaTenant, "s-2"), sessionBody("event-1", 9)).refused(t, 409, "outlook.event_id")
	a.put(path, sessionBody("event-2", 9)).want(t, 409)
	a.put(path, strings.ReplaceAll(sessionBody("event-1", 9), `"p-1"`, `"p-3"`)).want(t, 409)
	if after := a.get(path); string(after.body) != string(before.body) {
		t.Errorf("refused requests changed %s into %s", before.body, after.body)
	}
	// Event ids are told apart by case.
	a.put(sessionPath(adaTenant, "s-3"), sessionBody("EVENT-1", 9)).want(t, 201)
	// Another tenant has mailboxes, and so events, of its own.
	a.people(otherTenant, "p-1", "p-2")
	a.put(sessionPath(otherTenant, "s-1"), sessionBody("event-1", 9)).want(t, 201)
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2", "p-3")
	list := tenantPath(adaTenant) + "/sessions"
	a.get(tenantPath(otherTenant)+"/sessions").refused(t, 404, "")
	empty := a.get(list).want(t, 200)
	if string(empty.body) != `{"items":[],"next_cursor":null}`+"\n" {
		t.Errorf("an empty list is %s", empty.body)
	}
	a.put(sessionPath(adaTenant, "c"), sessionBody("event-c", 9)).want(t, 201)
	a.put(sessionPath(adaTenant, "b"), sessionBody("event-b", 9)).want(t, 201)
	a.put(sessionPath(adaTenant, "a"), sessionBody("event-a", 12)).want(t, 201)
	a.put(sessionPath(adaTenant, "d"), strings.Replace(sessionBody("event-d", 10), `["p-2"]`, `["p-3"]`, 1)).want(t, 201)
	a.observe("a", func(o *model.Observation) { o.Cancelled = true })
	for query, want := range map[string][]string{
		"":                                  {"b", "c", "d", "a"},
		"?status=scheduled":                 {"b", "c", "d"},
		"?status=cancelled":                 {"a"},
		"?participant=p-1":                  {"b", "c", "d", "a"},
		"?participant=p-3":                  {"d"},
		"?participant=p-3&status=cancelled": {},
		"?participant=nobody":               {},
		"?from=2099-12-01T10:00:00Z":        {"d", "a"},
		"?to=2099-12-01T10:00:00Z":          {"b", "c"},
		"?from=2099-12-01T11:00:00%2B01:00&to=2099-12-01T12:00:00Z": {"d"},
		"?from=2099-12-01T11:00:00+01:00&limit=1":                   {"d"},
		"?limit=2":                    {"b", "c"},
		"?limit=99999999999999999999": {"b", "c", "d", "a"},
	} {
		var got []string
		for _, s := range decode[listJSON[sessionJSON]](t, a.get(list+query).want(t, 200)).Items {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", query, got, want)
		}
	}
	for query, field := range map[string]string{
		"?status=open": "status", "?status=scheduled&status=cancelled": "status", "?stauts=x": "stauts",
		"?from=yesterday": "from", "?to=2099-13-01T00:00:00Z": "to", "?from=2099-12-02T00:00:00Z&to=2099-12-01T00:00:00Z": "to",
		"?limit=0": "limit", "?limit=-1": "limit", "?limit=ten": "limit", "?limit=1.5": "limit",
		"?cursor=x": "cursor", "?cursor=!!": "cursor", "?cursor=MTIz": "cursor", "?participant=%00": "participant", "?participant=%FF": "participant",
		"?a=%zz": "", "?%FF=1": "\uFFFD",
	} {
		a.get(list+query).refused(t, 400, field)
	}
}

func TestPagingThroughSessions(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	want := []string{}
	for i := range 25 {
		id := fmt.Sprintf("s-%02d", i)
		a.put(sessionPath(adaTenant, id), sessionBody("event-"+id, 8+i/10)).want(t, 201)
		want = append(want, id)
	}
	for _, limit := range []int{1, 7, 24, 25, 26} {
		got, cursor, added := []string{}, "", false
		for {
			p := decode[listJSON[sessionJSON]](t, a.get(fmt.Sprintf("%s/sessions?limit=%d&cursor=%s", tenantPath(adaTenant), limit, url.QueryEscape(cursor))).want(t, 200))
			for _, s := range p.Items {
				got = append(got, s.ID)
			}
			// Writes behind the place where a reader is don't disturb it.
			if !added {
				added = true
				id := fmt.Sprintf("early-%d", limit)
				a.put(sessionPath(adaTenant, id), sessionBody("event-"+id, 1)).want(t, 201)
			}
			if p.NextCursor == nil {
				break
			}
			if len(p.Items) != limit {
				t.Fatalf("a page that isn't the last has %d items, want %d", len(p.Items), limit)
			}
			cursor = *p.NextCursor
		}
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "early") })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
}
