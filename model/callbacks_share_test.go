package model_test

import (
	"fmt"
	"testing"
	"time"

	"pairsync/model"
)

// receivers is a database with organisations that have a receiver and so many sessions each, booked a minute ago.
func receivers(tb testing.TB, sessions int, tenants ...string) *bed {
	tb.Helper()
	b := newBed(tb)
	for _, id := range tenants {
		if id != "t" {
			b.tenant(tb, id)
		}
		if _, _, err := b.PutTenant(tb.Context(), model.Tenant{
			ID: id, OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide, CallbackURL: "https://platform.example/" + id,
		}); err != nil {
			tb.Fatal(err)
		}
		for i := range sessions {
			l := linkOf(fmt.Sprintf("%s-%d", id, i))
			l.Tenant = id
			b.link(tb, l)
		}
	}
	return b
}

// claims counts what is claimed by tenant.
func (b *bed) claims(tb testing.TB, limit, perTenant int, busy ...string) (by map[string]int, all []model.Delivery) {
	tb.Helper()
	all, err := b.ClaimCallbacks(tb.Context(), limit, perTenant, time.Minute, busy)
	if err != nil {
		tb.Fatal(err)
	}
	by = map[string]int{}
	for _, d := range all {
		by[d.Tenant]++
	}
	return by, all
}

func TestCallbacksAreSharedOut(t *testing.T) {
	t.Parallel()
	b := receivers(t, 6, "t", "u", "v")
	by, _ := b.claims(t, 100, 2)
	equal(t, "shares", by, map[string]int{"t": 2, "u": 2, "v": 2})
	by, _ = b.claims(t, 100, 100, "t", "u")
	equal(t, "of those that are not busy", by, map[string]int{"v": 4})
	by, _ = b.claims(t, 3, 100, "v")
	if by["t"]+by["u"] != 3 {
		t.Errorf("the limit is not one: %v", by)
	}
	by, _ = b.claims(t, 100, 100)
	if by["t"]+by["u"] != 5 {
		t.Errorf("the rest: %v", by)
	}
	if by, _ = b.claims(t, 100, 100); len(by) != 0 {
		t.Errorf("claimed twice: %v", by)
	}
}

// A receiver that is left alone is tried with one change at a time, and with another one each time.
func TestAPausedReceiverIsTriedWithAnotherChangeEachTime(t *testing.T) {
	t.Parallel()
	b := receivers(t, 3, "t", "u")
	past := time.Now().Add(-time.Second)
	if _, err := b.CallbackPaused(t.Context(), "t", "timeout", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	by, _ := b.claims(t, 100, 100)
	equal(t, "while it is left alone", by, map[string]int{"u": 3})
	tried := map[int64]bool{}
	for range 3 {
		b.exec(t, "UPDATE callback_queue SET due_at = now() WHERE tenant = 't'")
		if _, err := b.CallbackPaused(t.Context(), "t", "timeout", past); err != nil {
			t.Fatal(err)
		}
		_, all := b.claims(t, 100, 100)
		if len(all) != 1 || all[0].PausedSince.IsZero() {
			t.Fatalf("claimed %+v", all)
		}
		tried[all[0].Change.Cursor] = true
		if err := b.CallbackFailed(t.Context(), "t", all[0].Change.Cursor, past, "timeout"); err != nil {
			t.Fatal(err)
		}
	}
	if len(tried) != 3 {
		t.Errorf("%d changes were tried, want 3", len(tried))
	}
	if changed, err := b.CallbackResumed(t.Context(), "t"); err != nil || !changed {
		t.Errorf("resumed: %t, %v", changed, err)
	}
	by, all := b.claims(t, 100, 100)
	equal(t, "when it works again", by, map[string]int{"t": 3})
	for _, d := range all {
		if !d.PausedSince.IsZero() {
			t.Errorf("still left alone: %+v", d)
		}
	}
}

func TestOldCallbacksAreGivenUp(t *testing.T) {
	t.Parallel()
	b := receivers(t, 2, "t", "u")
	given := func(want int) {
		t.Helper()
		if n, err := b.ExpireCallbacks(t.Context(), 72*time.Hour); err != nil || n != want {
			t.Errorf("%d were given up, want %d; %v", n, want, err)
		}
	}
	b.exec(t, "UPDATE changes SET applied_at = now() - interval '4 days'")
	given(0) // They are old, and nobody has tried them.
	_, all := b.claims(t, 1, 1, "u")
	b.exec(t, "UPDATE callback_queue SET first_tried_at = now() - interval '4 days' WHERE claimed_until IS NOT NULL")
	given(0) // One is under way.
	if err := b.CallbackFailed(t.Context(), "t", all[0].Change.Cursor, time.Now(), "timeout"); err != nil {
		t.Fatal(err)
	}
	given(1)
	if _, err := b.CallbackPaused(t.Context(), "u", "timeout", time.Now()); err != nil {
		t.Fatal(err)
	}
	given(0) // They waited for others, not for a receiver that is ill for so long.
	b.exec(t, "UPDATE incidents SET opened_at = now() - interval '4 days'")
	given(2)
	if n := b.number(t, "SELECT count(*) FROM callback_queue"); n != 1 {
		t.Errorf("%d wait", n)
	}
}

func TestCallbackFigures(t *testing.T) {
	t.Parallel()
	b := receivers(t, 2, "t")
	f, err := b.Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changes, err := b.Changes(t.Context(), "t", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if f.CallbacksPending != 2 || f.CallbacksOldest == nil || !f.CallbacksOldest.Equal(changes[0].AppliedAt) {
		t.Errorf("figures %+v", f)
	}
	if at, some, err := b.NextCallbackDue(t.Context()); err != nil || some {
		t.Errorf("what is due already is due at %v, %v", at, err)
	}
	later := time.Now().Add(time.Hour)
	if err := b.CallbackFailed(t.Context(), "t", changes[0].Cursor, later, "timeout"); err != nil {
		t.Fatal(err)
	}
	if at, some, err := b.NextCallbackDue(t.Context()); err != nil || !some || at.Sub(later).Abs() > time.Millisecond {
		t.Errorf("next is due at %v, %t, %v", at, some, err)
	}
}

// Failures of one organisation, pauses and ends of pauses don't wait for each other in a circle.
func TestCallbacksDontDeadlock(t *testing.T) {
	t.Parallel()
	b := receivers(t, 12, "t")
	_, all := b.claims(t, 100, 100)
	errs := make(chan error, 3*len(all))
	for _, d := range all {
		go func() {
			errs <- b.CallbackFailed(t.Context(), "t", d.Change.Cursor, time.Now().Add(time.Minute), "timeout")
		}()
		go func() {
			_, err := b.CallbackPaused(t.Context(), "t", "timeout", time.Now().Add(2*time.Minute))
			errs <- err
		}()
		go func() {
			_, err := b.CallbackResumed(t.Context(), "t")
			errs <- err
		}()
	}
	for range 3 * len(all) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A letter takes more news until it is old enough.
func TestLettersGather(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, p := range []string{"p-1", "p-2"} {
		if _, err := b.MailboxFailed(t.Context(), "t", p, model.MailboxUnreachable, "no_mailbox", time.Minute, time.Hour); err != nil {
			t.Fatal(err)
		}
		if mails, err := b.ClaimMail(t.Context(), 10, time.Hour, time.Minute); err != nil || len(mails) != 0 {
			t.Fatalf("claimed %+v, %v", mails, err)
		}
	}
	if at, some, err := b.NextMailDue(t.Context(), time.Hour); err != nil || !some || time.Until(at) < 55*time.Minute {
		t.Errorf("next is due at %v, %t, %v", at, some, err)
	}
	mails, err := b.ClaimMail(t.Context(), 10, 0, time.Minute)
	if err != nil || len(mails) != 1 || len(mails[0].Incidents) != 2 {
		t.Errorf("claimed %+v, %v", mails, err)
	}
}
