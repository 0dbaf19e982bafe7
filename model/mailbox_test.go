package model_test

import (
	"testing"
	"time"

	"pairsync/model"
)

// fail notes a failure of Ada's mailbox, with tries after one minute up to ten.
func (b *bed) fail(tb testing.TB, reason string) (changed bool) {
	tb.Helper()
	changed, err := b.MailboxFailed(tb.Context(), "t", "p-1", model.MailboxUnreachable, reason, time.Minute, 10*time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	return changed
}

// within says whether the next try is due in about d.
func (b *bed) within(tb testing.TB, what string, d time.Duration) {
	tb.Helper()
	at, ok := b.nextDue(tb)
	if left := time.Until(at); !ok || left > d+time.Second || left < d-10*time.Second {
		tb.Errorf("%s: next try in %v, want %v", what, left, d)
	}
}

func TestMailboxFailed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	other := linkOf("other")
	other.Organizer, other.Attendees = "p-3", nil
	b.settle(t, b.link(t, other))

	if !b.fail(t, "access_denied") {
		t.Error("the first failure is no news")
	}
	got := b.session(t, "s")
	if got.State != model.OutlookUnreachable || got.Status != s.Status || !got.StartsAt.Equal(s.StartsAt) || got.Version != s.Version {
		t.Errorf("session %+v", got)
	}
	if got := b.session(t, "other"); got.State != model.OutlookInSync {
		t.Errorf("session of another mailbox %+v", got)
	}
	b.within(t, "first failure", time.Minute)
	for range 5 {
		if b.fail(t, "access_denied") {
			t.Error("the same failure is news")
		}
	}
	b.within(t, "the same failure through other sessions", time.Minute)
	for _, minutes := range []int{2, 4, 8, 10, 10} {
		b.exec(t, "UPDATE participants SET mailbox_probe_at = now() - interval '1 second' WHERE id = 'p-1'")
		b.fail(t, "access_denied")
		b.within(t, "a try that failed", time.Duration(minutes)*time.Minute)
	}
	if !b.fail(t, "mailbox_not_enabled") {
		t.Error("another reason is no news")
	}
	p, err := b.Participant(t.Context(), "t", "p-1")
	if err != nil || p.MailboxStatus != model.MailboxUnreachable || p.MailboxReason != "mailbox_not_enabled" {
		t.Errorf("participant %+v, %v", p, err)
	}
}

func TestMailboxHealed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	heal := func() bool {
		t.Helper()
		changed, err := b.MailboxHealed(t.Context(), "t", "p-1")
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	s := b.settle(t, b.link(t, linkOf("s")))
	if s.OrganizerMailbox != model.MailboxUnknown || !heal() {
		t.Error("the first success is no news")
	}
	if len(b.due(t)) > 0 {
		t.Error("the first success makes sessions due")
	}
	if heal() {
		t.Error("a mailbox that is well has healed")
	}
	b.activate(t, b.claim(t)[0], tomorrow(20))

	b.fail(t, "access_denied")
	if got := b.session(t, "s"); got.OrganizerMailbox != model.MailboxUnreachable {
		t.Errorf("session %+v", got)
	}
	if !heal() {
		t.Error("the recovery is no news")
	}
	due := b.due(t)
	if len(due) != 1 || due[0].Cause != model.CauseSweep || due[0].Session.State != model.OutlookUnreachable {
		t.Fatalf("due %+v", due)
	}
	if len(b.claim(t)) != 1 {
		t.Error("the subscription is not looked at")
	}
	o := eventOf(due[0].Session, 2)
	o.ReadAt = time.Now().Add(time.Second)
	if got := b.commit(t, reading(s, o)).Session; got.State != model.OutlookInSync || got.OrganizerMailbox != model.MailboxOK {
		t.Errorf("session after a reading: %+v", got)
	}
	b.fail(t, "access_denied")
	b.within(t, "the first failure after a recovery", time.Minute)
}
