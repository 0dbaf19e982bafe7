package model_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// due claims every session that is due, for a minute.
func (b *bed) due(tb testing.TB) []model.Due {
	tb.Helper()
	due, err := b.ClaimDue(tb.Context(), 100, time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	return due
}

func dueIDs(due []model.Due) []string {
	var all []string
	for _, d := range due {
		all = append(all, d.Session.ID)
	}
	slices.Sort(all)
	return all
}

func (b *bed) nextDue(tb testing.TB) (time.Time, bool) {
	tb.Helper()
	at, ok, err := b.NextDue(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return at, ok
}

func TestClaimDue(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	if _, ok := b.nextDue(t); ok {
		t.Error("something is due")
	}
	s := b.link(t, linkOf("s"))
	if at, ok := b.nextDue(t); !ok || at.After(time.Now().Add(time.Second)) {
		t.Errorf("next due %v, %v", at, ok)
	}
	due := b.due(t)
	if len(due) != 1 {
		t.Fatalf("due %+v", due)
	}
	equal(t, "due", due[0], model.Due{
		Session: s, MailboxID: "mailbox-1", Email: "ada@contoso.example", Cause: model.CauseRequest, DueSince: s.CreatedAt,
	})
	if again := b.due(t); len(again) > 0 {
		t.Errorf("claimed twice: %+v", again)
	}
	next := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Microsecond)
	r := reading(s, eventOf(s, 1))
	r.NextVerifyAt = next
	b.commit(t, r)
	if at, _ := b.nextDue(t); !at.Equal(next) {
		t.Errorf("next due %v, want %v", at, next)
	}
	r.NextVerifyAt = time.Time{}
	b.commit(t, r)
	if at, _ := b.nextDue(t); !at.Equal(next) {
		t.Errorf("next due %v after a reading that doesn't say, want %v", at, next)
	}
	r.NextVerifyAt = time.Now()
	b.commit(t, r)
	if due = b.due(t); len(due) != 1 || due[0].Cause != model.CauseSweep || !due[0].DueSince.Equal(r.NextVerifyAt.Truncate(time.Microsecond)) {
		t.Errorf("due %+v", due)
	}
}

func TestClaimEnds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.link(t, linkOf("s"))
	if due, err := b.ClaimDue(t.Context(), 10, 50*time.Millisecond); err != nil || len(due) != 1 {
		t.Fatalf("due %v, %v", due, err)
	}
	testbed.EventuallyWithin(t, 10*time.Second, "the session of a sweeper that died", func(context.Context) bool { return len(b.due(t)) == 1 })
}

func TestPostponeVerify(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.link(t, linkOf("a"))
	b.link(t, linkOf("b"))
	b.due(t)
	at := time.Now().Add(-time.Second)
	if err := b.PostponeVerify(t.Context(), []model.SessionKey{{Tenant: "t", ID: "b"}, {Tenant: "t", ID: "none"}}, at); err != nil {
		t.Fatal(err)
	}
	if due := b.due(t); len(due) != 1 || due[0].Session.ID != "b" || due[0].Cause != model.CauseRequest {
		t.Errorf("due %+v", due)
	}
}

// TestPastSessionsAreNeverSwept, and leave no trace that would have to be looked at for ever.
func TestPastSessionsAreNeverSwept(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	past := linkOf("past")
	past.StartsAt, past.EndsAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	b.link(t, past)
	ending := linkOf("ending")
	ending.StartsAt, ending.EndsAt = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	s := b.link(t, ending)
	r := reading(s, eventOf(s, 1))
	r.NextVerifyAt = time.Now().Add(2 * time.Hour)
	b.commit(t, r)
	if due := b.due(t); len(due) > 0 {
		t.Errorf("due: %v", dueIDs(due))
	}
	for i := range 5 {
		b.link(t, linkOf(fmt.Sprintf("s%d", i)))
	}
	b.exec(t, "UPDATE sessions SET starts_at = now() - interval '2 hours', ends_at = now() - interval '1 hour' WHERE id < 's4'")
	if due, err := b.ClaimDue(t.Context(), 2, time.Minute); err != nil || len(due) != 1 || due[0].Session.ID != "s4" {
		t.Errorf("due %v, %v", dueIDs(due), err)
	}
	if n := b.number(t, "SELECT count(*) FROM sessions WHERE verify_due_at IS NOT NULL"); n != 1 {
		t.Errorf("%d sessions are in the sweep", n)
	}
}

// TestCancelledSessionsAreSwept: they may be reinstated.
func TestCancelledSessionsAreSwept(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.link(t, linkOf("s"))
	r := reading(s, model.Observation{ReadAt: time.Now()})
	r.NextVerifyAt = time.Now().Add(-time.Second)
	b.commit(t, r)
	if due := b.due(t); len(due) != 1 || due[0].Session.Status != model.SessionCancelled {
		t.Errorf("due %+v", due)
	}
}

func TestSweepMailbox(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	for i := range 45 {
		l := linkOf(fmt.Sprintf("s%02d", i))
		l.StartsAt, l.EndsAt = tomorrow(9).Add(time.Duration(i)*time.Hour), tomorrow(10).Add(time.Duration(i)*time.Hour)
		b.settle(t, b.link(t, l))
	}
	other := linkOf("other")
	other.Organizer, other.Attendees = "p-3", nil
	b.settle(t, b.link(t, other))
	for mailbox, want := range map[string]int{"mailbox-1": 45, "mailbox-2": 0, "": 0} {
		n, err := b.SweepMailbox(t.Context(), "t", mailbox, model.CauseLifecycle)
		if err != nil || n != want {
			t.Errorf("mailbox %q: %d sessions, %v", mailbox, n, err)
		}
	}
	due := b.due(t)
	if len(due) < 20 || due[0].Session.ID != "s00" || due[0].Cause != model.CauseLifecycle || time.Since(due[0].DueSince) > time.Minute {
		t.Errorf("first due: %d, %+v", len(due), due[0])
	}
	if n := b.number(t, "SELECT count(*) FROM sessions WHERE verify_due_at > now() + interval '1 minute 1 second'"); n != 1 {
		t.Errorf("%d sessions are not swept, want the one of another mailbox", n)
	}
}

// TestReadingThatBeganBeforeTheRequest does not answer it: the sweep of a mailbox is not undone by a reading that was under
// way and may be older than what was missed.
func TestReadingThatBeganBeforeTheRequest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	underWay := reading(s, eventOf(s, 2))
	underWay.Observation.ReadAt = time.Now().Add(-time.Second)
	if _, err := b.SweepMailbox(t.Context(), "t", "mailbox-1", model.CauseLifecycle); err != nil {
		t.Fatal(err)
	}
	b.commit(t, underWay)
	due := b.due(t)
	if len(due) != 1 || due[0].Cause != model.CauseLifecycle {
		t.Fatalf("due %+v", due)
	}
	b.commit(t, underWay)
	if at, _ := b.nextDue(t); at.After(time.Now().Add(2 * time.Minute)) {
		t.Errorf("due at %v though it was not read since it was asked for", at)
	}
	later := reading(s, eventOf(s, 3))
	later.Observation.ReadAt = time.Now().Add(time.Second)
	b.commit(t, later)
	if at, _ := b.nextDue(t); at.Before(time.Now().Add(5 * time.Hour)) {
		t.Errorf("due at %v though it was read", at)
	}
}
