package model_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestCommit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	if s.State != model.OutlookInSync || s.Version != 1 || s.JoinURL == "" || s.VerifiedAt == nil {
		t.Fatalf("after the first reading: %+v", s)
	}
	o := eventOf(s, 2)
	o.StartsAt, o.EndsAt = tomorrow(14), tomorrow(15)
	o.Attendees[0].RSVP = accepted(modified(2))
	r := reading(s, o)
	out := b.commit(t, r)
	equal(t, "kinds", kinds(out.Changes), []model.ChangeKind{model.KindRescheduled, model.KindRSVPChanged})
	equal(t, "session", b.session(t, "s"), sameTimes(out.Session, b.session(t, "s")))

	history, err := b.SessionChanges(t.Context(), "t", "s", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != 3 {
		t.Fatalf("history %v", kinds(history))
	}
	for i, c := range out.Changes {
		stored := history[i+1]
		if c.ID != stored.ID || c.Cursor != stored.Cursor || !c.AppliedAt.Equal(stored.AppliedAt) || c.Version != stored.Version {
			t.Errorf("change %d as returned %+v, as stored %+v", i, c, stored)
		}
		if c.Cursor == 0 || c.AppliedAt.IsZero() || c.Cause != model.CauseNotification || !c.OccurredAt.Equal(o.LastModifiedAt) {
			t.Errorf("change %d is not complete: %+v", i, c)
		}
		if !c.ReceivedAt.Equal(r.ReceivedAt.Truncate(time.Microsecond)) {
			t.Errorf("received at %v, want %v", c.ReceivedAt, r.ReceivedAt)
		}
	}
	if again := b.commit(t, r); again.Verdict != model.VerdictUnchanged || len(again.Changes) > 0 {
		t.Errorf("the same reading again: %+v", again)
	}
	if old := b.commit(t, reading(s, eventOf(s, 1))); old.Verdict != model.VerdictStale || !old.Session.StartsAt.Equal(tomorrow(14)) {
		t.Errorf("an old reading: %+v", old)
	}
}

// sameTimes gives the first session the times that only the database knows.
func sameTimes(s, from model.Session) model.Session {
	s.UpdatedAt = from.UpdatedAt
	return s
}

// TestVanishedOccursWhenHeardOf: a missing event has no time of its own.
func TestVanishedOccursWhenHeardOf(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	r := reading(s, model.Observation{ReadAt: time.Now()})
	c := b.commit(t, r).Changes
	if len(c) != 1 || c[0].Kind != model.KindCancelled || !c[0].OccurredAt.Equal(r.ReceivedAt.Truncate(time.Microsecond)) {
		t.Errorf("changes %+v", c)
	}
	if s := b.session(t, "s"); s.Status != model.SessionCancelled || !s.Vanished {
		t.Errorf("session %+v", s)
	}
}

// TestOneReadingNeverFailsTheOthers: data that PostgreSQL refuses, an event that another session has, and a session that
// doesn't exist fail by themselves, wherever they stand in the batch.
func TestOneReadingNeverFailsTheOthers(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var readings []model.Reading
	for i := range 9 {
		s := b.link(t, linkOf(fmt.Sprintf("s%d", i)))
		o := eventOf(s, 1)
		o.StartsAt, o.EndsAt = tomorrow(14), tomorrow(15)
		switch i {
		case 0:
			o.ChangeKey = "no\x00text"
		case 4:
			o.EventID = "AAk-s5"
		case 7:
			o.Attendees[0].Email = "null\x00@contoso.example"
		}
		readings = append(readings, reading(s, o))
	}
	readings = append(readings, model.Reading{Tenant: "t", Session: "none"})
	outcomes, err := b.Commit(t.Context(), readings)
	if err != nil {
		t.Fatal(err)
	}
	for i, out := range outcomes {
		switch i {
		case 0, 4, 7:
			if out.Err == nil || len(out.Changes) > 0 {
				t.Errorf("reading %d: %+v", i, out)
			}
			if got := b.session(t, readings[i].Session); got.Version != 1 {
				t.Errorf("reading %d was written: %+v", i, got)
			}
		case 9:
			notFound(t, out.Err, model.ThingSession, "none")
		default:
			if out.Err != nil || len(out.Changes) != 1 || out.Changes[0].Cursor == 0 {
				t.Errorf("reading %d: %+v", i, out)
			}
			if got := b.session(t, readings[i].Session); got.Version != 2 {
				t.Errorf("reading %d was not written: %+v", i, got)
			}
		}
	}
}

// TestReadingsOfOneSessionInOneBatch are taken in the order given.
func TestReadingsOfOneSessionInOneBatch(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	var readings []model.Reading
	for n, hour := range []int{10, 11, 11, 12} {
		o := eventOf(s, n+2)
		o.StartsAt, o.EndsAt = tomorrow(hour), tomorrow(hour+1)
		readings = append(readings, reading(s, o))
	}
	readings = append(readings, readings[1])
	outcomes, err := b.Commit(t.Context(), readings)
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []model.Verdict
	for _, o := range outcomes {
		verdicts = append(verdicts, o.Verdict)
	}
	equal(t, "verdicts", verdicts, []model.Verdict{
		model.VerdictChanged, model.VerdictChanged, model.VerdictUnchanged, model.VerdictChanged, model.VerdictStale,
	})
	if s := b.session(t, "s"); s.Version != 4 || !s.StartsAt.Equal(tomorrow(12)) || s.ChangeKey != "k5" {
		t.Errorf("session %+v", s)
	}
}

// TestCommitInAnyOrder: workers that commit readings of the same sessions at the same time, in batches of any order, neither
// wait for each other in a circle nor tell a change twice, and all sessions end in their last truth.
func TestCommitInAnyOrder(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	const sessions, versions, workers = 6, 8, 4
	var readings []model.Reading
	for i := range sessions {
		s := b.link(t, linkOf(fmt.Sprintf("s%d", i)))
		for n := range versions {
			o := eventOf(s, n+1)
			o.StartsAt, o.EndsAt = tomorrow(n), tomorrow(n+1)
			readings = append(readings, reading(s, o))
		}
	}
	var wg sync.WaitGroup
	for w := range workers {
		order := rand.New(rand.NewPCG(uint64(w), 1)).Perm(len(readings))
		wg.Go(func() {
			for len(order) > 0 {
				n := min(7, len(order))
				batch := make([]model.Reading, 0, n)
				for _, i := range order[:n] {
					batch = append(batch, readings[i])
				}
				order = order[n:]
				outcomes, err := b.Commit(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				for _, o := range outcomes {
					if o.Err != nil {
						t.Error(o.Err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range sessions {
		id := fmt.Sprintf("s%d", i)
		s := b.session(t, id)
		if !s.StartsAt.Equal(tomorrow(versions - 1)) {
			t.Errorf("%s starts at %v", id, s.StartsAt)
		}
		history, err := b.SessionChanges(t.Context(), "t", id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(history)) != s.Version {
			t.Errorf("%s has version %d and %d changes", id, s.Version, len(history))
		}
		for j, c := range history {
			if c.Version != int64(j)+1 || j > 1 && string(c.Before) != string(history[j-1].After) {
				t.Errorf("%s: change %d doesn't follow from the one before: %+v", id, j, c)
			}
		}
	}
}

// TestCommitFindsPeopleOfTheProgramme: somebody whom the session doesn't know is named if their address is known, in any case.
func TestCommitFindsPeopleOfTheProgramme(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	o := eventOf(s, 2)
	o.Attendees = append(o.Attendees,
		model.ObservedAttendee{Email: "JOAN@contoso.example", RSVP: accepted(modified(2))},
		model.ObservedAttendee{Email: "eve@fabrikam.example", RSVP: noAnswer})
	out := b.commit(t, reading(s, o))
	var people []string
	for _, c := range out.Changes {
		people = append(people, string(c.Kind)+" "+c.Participant)
	}
	equal(t, "people", people, []string{"attendee_added p-3", "rsvp_changed p-3", "attendee_added "})
	equal(t, "attendees", b.session(t, "s").Attendees, out.Session.Attendees)

	b.participant(t, "t", "p-7", "eve@fabrikam.example")
	out = b.commit(t, reading(s, eventOf(out.Session, 3)))
	if len(out.Changes) > 0 || out.Session.Attendees[2].Participant != "p-7" {
		t.Errorf("after Eve joined the programme: %+v", out)
	}
}

// TestCommitWaitsForTheRow: what it compares a reading with is the session as the others leave it, not as it was when it came.
func TestCommitWaitsForTheRow(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	release := b.hold(t, "UPDATE sessions SET change_key = 'k9', last_modified_at = $1, title = 'later' WHERE id = 's'", modified(9))
	outcome := make(chan model.Outcome, 1)
	go func() {
		o := eventOf(s, 5)
		o.StartsAt = tomorrow(8)
		out, err := b.Commit(t.Context(), []model.Reading{reading(s, o)})
		if err != nil {
			t.Error(err)
			out = []model.Outcome{{Err: err}}
		}
		outcome <- out[0]
	}()
	b.waiting(t, 1, "transactionid")
	release()
	if out := testbed.Receive(t, "the commit", outcome); out.Verdict != model.VerdictStale || out.Session.Title != "later" {
		t.Errorf("outcome %+v", out)
	}
	if got := b.session(t, "s"); got.ChangeKey != "k9" || !got.StartsAt.Equal(s.StartsAt) {
		t.Errorf("session %+v", got)
	}
}

// TestCommitWithoutADatabase: what failed as a whole is an error, and not the fault of a reading.
func TestCommitWithoutADatabase(t *testing.T) {
	t.Parallel()
	s, err := model.Open(t.Context(), model.Config{URL: "postgres://localhost:1/none?connect_timeout=1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if out, err := s.Commit(t.Context(), []model.Reading{{Tenant: "t", Session: "s"}}); err == nil || out != nil {
		t.Errorf("%v, %v", out, err)
	}
	if out, err := s.Commit(t.Context(), nil); err != nil || len(out) != 0 {
		t.Errorf("nothing to do: %v, %v", out, err)
	}
}

// TestCommitGivesUpItsConnection: a commit that is abandoned while it waits for a lock leaves nothing behind.
func TestCommitGivesUpItsConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.link(t, linkOf("s"))
	release := b.hold(t, "SELECT 1 FROM sessions FOR UPDATE")
	ctx, cancel := withTimeout(t, 100*time.Millisecond)
	defer cancel()
	if _, err := b.Commit(ctx, []model.Reading{reading(s, eventOf(s, 1))}); !errors.Is(err, ctx.Err()) || err == nil {
		t.Errorf("error %v", err)
	}
	release()
	if out := b.settle(t, s); out.Version != 1 {
		t.Errorf("afterwards: %+v", out)
	}
}
