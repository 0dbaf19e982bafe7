package model_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pairsync/model"
)

// wish is a session of Ada and Grace tomorrow at nine that has no event yet.
func wish(id string) model.SessionRequest {
	r := linkOf(id)
	r.EventID = ""
	return r
}

func (b *bed) put(tb testing.TB, r model.SessionRequest) model.Session {
	tb.Helper()
	s, _, err := b.PutSession(tb.Context(), r)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (b *bed) take(tb testing.TB, id string) model.Work {
	tb.Helper()
	w, open, err := b.ClaimRequest(tb.Context(), "t", id, time.Minute)
	if err != nil || !open {
		tb.Fatalf("claiming %s: open %v, %v", id, open, err)
	}
	return w
}

// apply brings a made-up Outlook to what session s wants, and commits the answer as the nth version of the event.
func (b *bed) apply(tb testing.TB, n int) model.Session {
	tb.Helper()
	w := b.take(tb, "s")
	s := w.Session
	if s.EventID == "" {
		s.EventID = "booked-" + w.TransactionID
	}
	o := eventOf(s, n)
	if s.Request.Kind == model.RequestCancel {
		o = model.Observation{ReadAt: time.Now()}
	}
	r := reading(s, o)
	r.Cause, r.Applied = model.CauseRequest, &model.Applied{Version: w.Session.Request.Version}
	return b.commit(tb, r).Session
}

// booked is a session that has been booked.
func (b *bed) booked(tb testing.TB) model.Session {
	tb.Helper()
	b.put(tb, wish("s"))
	return b.apply(tb, 1)
}

func (b *bed) history(tb testing.TB) []model.Change {
	tb.Helper()
	h, err := b.SessionChanges(tb.Context(), "t", "s", 0, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func TestBooking(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s, created, err := b.PutSession(t.Context(), wish("s"))
	if err != nil || !created || s.State != model.OutlookPending || s.EventID != "" || s.StateReason() != model.ReasonRequested {
		t.Fatalf("created %v, %+v, %v", created, s, err)
	}
	if len(b.due(t)) != 0 {
		t.Error("a session without an event is due for a reading")
	}
	commands, err := b.ClaimCommands(t.Context(), 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "commands", commands, []model.Command{{Tenant: "t", Session: "s", Version: 1}})

	w := b.take(t, "s")
	if w.Email != "ada@contoso.example" || w.Before || w.TransactionID == "" || w.Session.Request.Kind != model.RequestBook {
		t.Errorf("work %+v", w)
	}
	s.EventID = "AAk-new"
	o := eventOf(s, 1)
	r := reading(s, o)
	r.Applied = &model.Applied{Version: 1}
	out := b.commit(t, r)
	if len(out.Changes) != 0 || out.Verdict != model.VerdictUnchanged {
		t.Errorf("the answer to our own write: %v", kinds(out.Changes))
	}
	s = b.session(t, "s")
	if s.State != model.OutlookInSync || s.EventID != "AAk-new" || s.JoinURL == "" || s.Request != nil || s.Version != 1 {
		t.Errorf("booked %+v", s)
	}
	if again := b.commit(t, reading(s, o)); again.Verdict != model.VerdictUnchanged {
		t.Errorf("the notification of it: %v", kinds(again.Changes))
	}
	if _, open, err := b.ClaimRequest(t.Context(), "t", "s", time.Minute); err != nil || open {
		t.Errorf("done, and open %v, %v", open, err)
	}
	if _, ok, err := b.NextCommandDue(t.Context()); err != nil || ok {
		t.Errorf("done, and a command is due: %v, %v", ok, err)
	}
	if next, ok := b.nextDue(t); !ok || next.Before(time.Now().Add(time.Hour)) {
		t.Errorf("next reading %v, %v", next, ok)
	}
}

// TestBookingWithoutAScheduleIsRead: an event that comes to a session must be read some time, whoever forgets to say when.
func TestBookingWithoutAScheduleIsRead(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.put(t, wish("s"))
	s.EventID = "AAk-new"
	r := reading(s, eventOf(s, 1))
	r.NextVerifyAt, r.Applied = time.Time{}, &model.Applied{Version: 1}
	b.commit(t, r)
	if due := b.due(t); len(due) != 1 {
		t.Errorf("due %v", dueIDs(due))
	}
}

func TestPutAgain(t *testing.T) {
	t.Parallel()
	grace := []string{"p-2"}
	for name, tt := range map[string]struct {
		edit  func(*model.SessionRequest)
		kinds []model.ChangeKind
		check func(*model.Request) bool
	}{
		"the same":    {func(*model.SessionRequest) {}, nil, nil},
		"other words": {func(r *model.SessionRequest) { r.TimeZone = "Europe/Paris" }, nil, nil},
		"another time": {
			func(r *model.SessionRequest) { r.StartsAt, r.EndsAt = tomorrow(14), tomorrow(15) },
			[]model.ChangeKind{model.KindRescheduled},
			func(r *model.Request) bool { return r.Times && !r.People && !r.Title },
		},
		"another length": {
			func(r *model.SessionRequest) { r.EndsAt = tomorrow(11) },
			[]model.ChangeKind{model.KindRescheduled},
			func(r *model.Request) bool { return r.Times },
		},
		"other people": {
			func(r *model.SessionRequest) { r.Attendees = []string{"p-3"} },
			[]model.ChangeKind{model.KindAttendeeRemoved, model.KindAttendeeAdded},
			func(r *model.Request) bool { return r.People && !r.Times },
		},
		"one more": {
			func(r *model.SessionRequest) { r.Attendees = append(grace, "p-3") },
			[]model.ChangeKind{model.KindAttendeeAdded},
			func(r *model.Request) bool { return r.People },
		},
		"another title": {
			func(r *model.SessionRequest) { r.Title = "Coaching" }, nil,
			func(r *model.Request) bool { return r.Title && !r.Times && !r.People },
		},
		"everything": {
			func(r *model.SessionRequest) {
				r.StartsAt, r.EndsAt, r.Title, r.Attendees = tomorrow(14), tomorrow(15), "Coaching", nil
			},
			[]model.ChangeKind{model.KindRescheduled, model.KindAttendeeRemoved},
			func(r *model.Request) bool { return r.Times && r.People && r.Title },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			before := b.booked(t)
			r := wish("s")
			tt.edit(&r)
			r.At = time.Now()
			s := b.put(t, r)
			h := b.history(t)[1:]
			equal(t, "kinds", kinds(h), tt.kinds)
			for _, c := range h {
				if c.Source != model.SourcePlatform || c.Cause != model.CauseRequest || !c.Applied || !c.OccurredAt.Equal(r.At.Truncate(time.Microsecond)) {
					t.Errorf("change %+v", c)
				}
			}
			if (s.Request != nil) != (tt.check != nil) {
				t.Fatalf("request %+v", s.Request)
			}
			if tt.check == nil {
				if s.State != model.OutlookInSync || s.Version != before.Version {
					t.Errorf("session %+v", s)
				}
				return
			}
			if !tt.check(s.Request) || s.Request.Kind != model.RequestChange || s.Request.Version != 2 || s.State != model.OutlookPending {
				t.Errorf("state %s, request %+v", s.State, s.Request)
			}
			// Outlook takes it, the answers are reset by it, and nobody is told anything more.
			after := b.apply(t, 2)
			if after.State != model.OutlookInSync || after.Request != nil || after.Seen != nil {
				t.Errorf("applied: %+v", after)
			}
			equal(t, "history afterwards", len(b.history(t)), 1+len(tt.kinds))
			if again := b.put(t, r); again.Version != after.Version || again.Request != nil {
				t.Errorf("the same again: %+v", again)
			}
		})
	}
}

// TestThePlatformMovesWhatPeopleMoved: what repeats the request before asks for nothing, unless the platform has seen the
// newest version.
func TestThePlatformMovesWhatPeopleMoved(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.booked(t)
	o := eventOf(s, 2)
	o.StartsAt, o.EndsAt = tomorrow(14), tomorrow(15)
	moved := b.commit(t, reading(s, o)).Session
	if again := b.put(t, wish("s")); again.Request != nil || !again.StartsAt.Equal(tomorrow(14)) {
		t.Fatalf("a repetition: %+v", again)
	}
	r := wish("s")
	r.SeenVersion = moved.Version
	if back := b.put(t, r); back.Request == nil || !back.StartsAt.Equal(tomorrow(9)) {
		t.Errorf("the same by a platform that has seen the move: %+v", back)
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.booked(t)
	for field, edit := range map[string]func(*model.SessionRequest){
		"organizer":        func(r *model.SessionRequest) { r.Organizer, r.Attendees = "p-3", []string{"p-2"} },
		"online_meeting":   func(r *model.SessionRequest) { r.OnlineMeeting = "none" },
		"outlook.event_id": func(r *model.SessionRequest) { r.EventID = "AAk-other" },
	} {
		r := wish("s")
		edit(&r)
		_, _, err := b.PutSession(t.Context(), r)
		no, ok := errors.AsType[*model.NotSupportedError](err)
		if !ok || !errors.Is(err, model.ErrNotSupported) {
			t.Errorf("%s: %v", field, err)
			continue
		}
		equal(t, "fields", no.Fields, []string{field})
	}
	r := wish("s")
	r.Attendees = []string{"p-9"}
	_, _, err := b.PutSession(t.Context(), r)
	notFound(t, err, model.ThingParticipant, "p-9")
}

// TestAnOlderWishLosesToAMoveThatIsKnown: it was asked for before people moved the meeting, and came later.
func TestAnOlderWishLosesToAMoveThatIsKnown(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.booked(t)
	o := eventOf(s, 2)
	o.StartsAt, o.EndsAt, o.LastModifiedAt = tomorrow(14), tomorrow(15), time.Now()
	b.commit(t, reading(s, o))
	r := wish("s")
	r.StartsAt, r.EndsAt, r.At = tomorrow(16), tomorrow(17), o.LastModifiedAt.Add(-time.Second)
	s = b.put(t, r)
	if s.State != model.OutlookConflict || s.StateReason() != model.ReasonSuperseded || s.Request != nil || !s.StartsAt.Equal(tomorrow(14)) {
		t.Errorf("session %+v", s)
	}
	last := b.history(t)[2]
	if last.Kind != model.KindSuperseded || last.Source != model.SourcePlatform || !strings.Contains(string(last.Before), tomorrow(16).Format(time.RFC3339)) {
		t.Errorf("change %+v", last)
	}
}

// TestPutAndCommitAtTheSameTime: whoever waits for the session sees the other's request, and no wish is lost between the two.
func TestPutAndCommitAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.booked(t)
	release := b.hold(t, "SELECT 1 FROM sessions WHERE id = 's' FOR UPDATE")
	errs := make(chan error, 2)
	go func() {
		r := wish("s")
		r.StartsAt, r.EndsAt = tomorrow(14), tomorrow(15)
		_, _, err := b.PutSession(t.Context(), r)
		errs <- err
	}()
	b.waiting(t, 1, "transactionid")
	answered := eventOf(s, 2)
	answered.Attendees[0].RSVP = accepted(modified(2))
	go func() {
		out, err := b.Commit(t.Context(), []model.Reading{reading(s, answered)})
		if err == nil {
			err = out[0].Err
		}
		errs <- err
	}()
	b.waiting(t, 1, "tuple")
	release()
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	now := b.session(t, "s")
	if now.Request == nil || !now.Request.Times || !now.StartsAt.Equal(tomorrow(14)) || now.State != model.OutlookPending {
		t.Errorf("session %+v", now)
	}
	if now.Attendees[0].RSVP.Response != model.ResponseAccepted {
		t.Errorf("the answer is lost: %+v", now.Attendees)
	}
	if open := b.number(t, "SELECT count(*) FROM requests WHERE open AND version = 2"); open != 1 {
		t.Error("the request is not open")
	}
}

// TestManyPutsAtTheSameTime: each other wish is one request, and the versions and the history have no gap.
func TestManyPutsAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.booked(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for n := range 5 {
				r := wish("s")
				r.StartsAt = tomorrow(9).Add(time.Duration(1+i*10+n) * time.Minute)
				r.EndsAt = r.StartsAt.Add(time.Hour)
				if _, _, err := b.PutSession(ctx, r); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for n := range 5 {
				o := eventOf(s, 2+i*10+n)
				o.Attendees[0].RSVP = accepted(modified(2 + i*10 + n))
				if _, err := b.Commit(ctx, []model.Reading{reading(s, o)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	h := b.history(t)
	for i, c := range h {
		if c.Version != int64(i+1) {
			t.Fatalf("change %d has version %d", i, c.Version)
		}
	}
	now := b.session(t, "s")
	if now.Version != int64(len(h)) || now.Request == nil || now.Request.Version != 31 {
		t.Errorf("version %d of %d, request %+v", now.Version, len(h), now.Request)
	}
	if after := b.apply(t, 1000); after.State != model.OutlookInSync || !after.StartsAt.Equal(now.StartsAt) {
		t.Errorf("applied: %+v", after)
	}
}
