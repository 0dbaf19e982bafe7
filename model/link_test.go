package model_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pairsync/model"
)

func TestPutSession(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	l := linkOf("s")
	l.Attendees = []string{"p-2", "p-1", "p-3", "p-2"}
	s := b.link(t, l)
	equal(t, "session", s, model.Session{
		Tenant: "t", ID: "s", Status: model.SessionScheduled, Organizer: "p-1", OrganizerEmail: "ada@contoso.example",
		OrganizerMailbox: model.MailboxUnknown, StartsAt: tomorrow(9), EndsAt: tomorrow(10), TimeZone: "Europe/Berlin",
		Title: "Mentoring", OnlineMeeting: "teams",
		Attendees: []model.Attendee{
			{Participant: "p-2", Email: "grace@contoso.example", RSVP: noAnswer},
			{Participant: "p-3", Email: "joan@contoso.example", RSVP: noAnswer},
		},
		EventID: "AAk-s", State: model.OutlookPending, Version: 1, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	})
	equal(t, "session as read", b.session(t, "s"), s)

	history, err := b.SessionChanges(t.Context(), "t", "s", 0, 0)
	if err != nil || len(history) != 1 {
		t.Fatalf("history %v, %v", history, err)
	}
	c := history[0]
	if c.Kind != model.KindBooked || c.Source != model.SourcePlatform || c.Cause != model.CauseRequest || c.Version != 1 || c.Before != nil {
		t.Errorf("first change: %+v", c)
	}
	if !strings.Contains(string(c.After), `"organizer": "p-1"`) {
		t.Errorf("after: %s", c.After)
	}
	if outbox, err := b.OutboxBatch(t.Context(), 10); err != nil || len(outbox) != 1 || outbox[0].ID != c.ID {
		t.Errorf("outbox %v, %v", outbox, err)
	}
	due := b.due(t)
	if len(due) != 1 || due[0].Session.ID != "s" || due[0].Cause != model.CauseRequest || due[0].Email != "ada@contoso.example" {
		t.Errorf("due %+v", due)
	}
}

// TestLinkAgain: a repetition changes nothing, also after Outlook did; what can't be changed is named.
func TestLinkAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(*model.SessionRequest)
		want []string
	}{
		"the same":                      {func(*model.SessionRequest) {}, nil},
		"attendees in another order":    {func(l *model.SessionRequest) { l.Attendees = []string{"p-3", "p-2", "p-3"} }, nil},
		"other words":                   {func(l *model.SessionRequest) { l.Title, l.TimeZone = "Coaching", "Europe/Paris" }, nil},
		"the time that Outlook made it": {func(l *model.SessionRequest) { l.StartsAt, l.EndsAt = tomorrow(14), tomorrow(15) }, nil},
		"another organizer":             {func(l *model.SessionRequest) { l.Organizer, l.Attendees = "p-3", []string{"p-2", "p-1"} }, []string{"organizer"}},
		"another event":                 {func(l *model.SessionRequest) { l.EventID = "AAk-other" }, []string{"outlook.event_id"}},
		"no event any more":             {func(l *model.SessionRequest) { l.EventID = "" }, nil},
		"another kind of meeting":       {func(l *model.SessionRequest) { l.OnlineMeeting = "none" }, []string{"online_meeting"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			l := linkOf("s")
			l.Attendees = []string{"p-2", "p-3"}
			s := b.link(t, l)
			o := eventOf(s, 1)
			o.StartsAt, o.EndsAt = tomorrow(14), tomorrow(15)
			b.commit(t, reading(s, o))
			moved := b.session(t, "s")

			tt.edit(&l)
			again, created, err := b.PutSession(t.Context(), l)
			if created {
				t.Error("created again")
			}
			if tt.want != nil {
				no, ok := errors.AsType[*model.NotSupportedError](err)
				if !ok || !errors.Is(err, model.ErrNotSupported) {
					t.Fatalf("error %v", err)
				}
				equal(t, "fields", no.Fields, tt.want)
			} else if err != nil {
				t.Fatal(err)
			}
			want := moved
			if tt.want == nil {
				want.Title, want.TimeZone, want.UpdatedAt = l.Title, l.TimeZone, again.UpdatedAt
				equal(t, "session as returned", again, want)
			}
			equal(t, "session", b.session(t, "s"), want)
			if n := b.number(t, "SELECT count(*) FROM changes"); n != 2 {
				t.Errorf("%d changes", n)
			}
		})
	}
}

func TestLinkRefuses(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.tenant(t, "u")
	b.link(t, linkOf("s"))
	edited := func(edit func(*model.SessionRequest)) error {
		l := linkOf("s2")
		edit(&l)
		_, _, err := b.PutSession(t.Context(), l)
		return err
	}
	notFound(t, edited(func(l *model.SessionRequest) { l.Tenant = "none" }), model.ThingTenant, "none")
	notFound(t, edited(func(l *model.SessionRequest) { l.Organizer = "p-8" }), model.ThingParticipant, "p-8")
	notFound(t, edited(func(l *model.SessionRequest) { l.Attendees = []string{"p-2", "p-9"} }), model.ThingParticipant, "p-9")
	if err := edited(func(l *model.SessionRequest) { l.EventID = "AAk-s" }); !errors.Is(err, model.ErrConflict) {
		t.Errorf("an event of another session: %v", err)
	}
	if err := edited(func(l *model.SessionRequest) { l.EventID = "aak-s" }); err != nil {
		t.Errorf("an event that differs in case: %v", err)
	}
	if err := edited(func(l *model.SessionRequest) { l.Tenant, l.EventID = "u", "AAk-s" }); err != nil {
		t.Errorf("an event of another tenant: %v", err)
	}
	if n := b.number(t, "SELECT count(*) FROM sessions"); n != 3 {
		t.Errorf("%d sessions", n)
	}
}

// TestLinkAtTheSameTime: of many identical requests one creates the session, and it is booked once.
func TestLinkAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var wg sync.WaitGroup
	created := make(chan bool, 8)
	for range cap(created) {
		wg.Go(func() {
			_, c, err := b.PutSession(t.Context(), linkOf("s"))
			if err != nil {
				t.Error(err)
			}
			created <- c
		})
	}
	wg.Wait()
	close(created)
	n := 0
	for c := range created {
		if c {
			n++
		}
	}
	if n != 1 || b.number(t, "SELECT count(*) FROM changes") != 1 {
		t.Errorf("created %d times", n)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.tenant(t, "u")
	for id, edit := range map[string]func(*model.SessionRequest){
		"a": func(*model.SessionRequest) {},
		"b": func(l *model.SessionRequest) { l.Organizer, l.Attendees = "p-3", nil },
		"c": func(l *model.SessionRequest) { l.StartsAt, l.EndsAt = tomorrow(11), tomorrow(12) },
		"d": func(l *model.SessionRequest) {
			l.StartsAt, l.EndsAt, l.Attendees = tomorrow(7), tomorrow(8), []string{"p-3"}
		},
		"e": func(l *model.SessionRequest) { l.Tenant = "u" },
	} {
		l := linkOf(id)
		edit(&l)
		b.link(t, l)
	}
	s := b.session(t, "c")
	b.commit(t, model.Reading{Tenant: "t", Session: "c", Observation: model.Observation{ReadAt: time.Now()}, Cause: model.CauseSweep, ReceivedAt: time.Now()})
	for name, tt := range map[string]struct {
		filter model.SessionFilter
		want   []string
	}{
		"all":                     {model.SessionFilter{}, []string{"d", "a", "b", "c"}},
		"scheduled":               {model.SessionFilter{Status: model.SessionScheduled}, []string{"d", "a", "b"}},
		"cancelled":               {model.SessionFilter{Status: model.SessionCancelled}, []string{"c"}},
		"organised":               {model.SessionFilter{Participant: "p-1"}, []string{"d", "a", "c"}},
		"organised or attended":   {model.SessionFilter{Participant: "p-3"}, []string{"d", "b"}},
		"of nobody":               {model.SessionFilter{Participant: "p-"}, nil},
		"from a start":            {model.SessionFilter{From: tomorrow(9)}, []string{"a", "b", "c"}},
		"before a start":          {model.SessionFilter{To: tomorrow(9)}, []string{"d"}},
		"the first page":          {model.SessionFilter{Limit: 2}, []string{"d", "a"}},
		"the page after it":       {model.SessionFilter{Limit: 2, AfterStartsAt: tomorrow(9), AfterID: "a"}, []string{"b", "c"}},
		"the page after the last": {model.SessionFilter{AfterStartsAt: s.StartsAt, AfterID: "c"}, nil},
	} {
		tt.filter.Tenant = "t"
		got, err := b.Sessions(t.Context(), tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, ids(got), tt.want)
	}
}

func TestTied(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.tenant(t, "u")
	for _, id := range []string{"one", "first", "second"} {
		s := b.link(t, linkOf(id))
		o := eventOf(s, 1)
		if id != "one" {
			o.SeriesMasterID, o.OriginalStart = "series", new(tomorrow(9))
		}
		b.commit(t, reading(s, o))
	}
	l := linkOf("elsewhere")
	l.Tenant, l.EventID = "u", "AAk-one"
	b.link(t, l)
	tied, err := b.Tied(t.Context(), []model.EventRef{
		{"t", "AAk-one"}, {"t", "private"}, {"t", "series"}, {"u", "AAk-one"}, {"t", "AAk-ONE"}, {"u", "series"}, {"t", "AAk-one"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"one"}, nil, {"first", "second"}, {"elsewhere"}, nil, nil, {"one"}}
	if len(tied) != len(want) {
		t.Fatalf("%d answers", len(tied))
	}
	for i, sessions := range tied {
		equal(t, "sessions", ids(sessions), want[i])
	}
	equal(t, "session", tied[0][0], b.session(t, "one"))
	if s := tied[2][0]; s.SeriesMasterID != "series" || !s.OriginalStart.Equal(tomorrow(9)) {
		t.Errorf("occurrence: %+v", s)
	}
	if none, err := b.Tied(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no events: %v, %v", none, err)
	}
}
