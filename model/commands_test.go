package model_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// TestOneCarriesOutARequest: of many who hear the command one gets it, until the claim ends.
func TestOneCarriesOutARequest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	var got, refused atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, open, err := b.ClaimRequest(t.Context(), "t", "s", time.Minute); {
			case errors.Is(err, model.ErrClaimed):
				refused.Add(1)
			case err != nil:
				t.Error(err)
			case open:
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d claimed, %d refused", got.Load(), refused.Load())
	}
	_, _, err := b.ClaimRequest(t.Context(), "t", "none", time.Minute)
	notFound(t, err, model.ThingSession, "none")
}

func TestReleaseRequest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	w := b.take(t, "s")
	if commands, err := b.ClaimCommands(t.Context(), 10, time.Minute); err != nil || len(commands) != 0 {
		t.Errorf("being carried out, and due: %v, %v", commands, err)
	}
	retryAt := time.Now().Add(10 * time.Second)
	if err := b.ReleaseRequest(t.Context(), w, retryAt); err != nil {
		t.Fatal(err)
	}
	if at, ok, err := b.NextCommandDue(t.Context()); err != nil || !ok || at.Sub(retryAt).Abs() > time.Millisecond {
		t.Errorf("due at %v, %v, %v", at, ok, err)
	}
	again := b.take(t, "s")
	if !again.Before || again.TransactionID != w.TransactionID {
		t.Errorf("claimed again: %+v", again)
	}
	// Whose claim it was not any more can't release it.
	if err := b.ReleaseRequest(t.Context(), w, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ClaimRequest(t.Context(), "t", "s", time.Minute); !errors.Is(err, model.ErrClaimed) {
		t.Errorf("released by somebody else: %v", err)
	}
}

// TestAClaimRunsOut: whoever died with a request leaves it to the next, who knows that something may have been written.
func TestAClaimRunsOut(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	if _, open, err := b.ClaimRequest(t.Context(), "t", "s", 10*time.Millisecond); err != nil || !open {
		t.Fatal(open, err)
	}
	testbed.Eventually(t, "the claim to run out", func(context.Context) bool {
		w, open, err := b.ClaimRequest(t.Context(), "t", "s", time.Minute)
		return err == nil && open && w.Before
	})
}

// TestCommandsComeAgain: for as long as a request is open, its command does.
func TestCommandsComeAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	for range 2 {
		commands, err := b.ClaimCommands(t.Context(), 10, 0)
		if err != nil || len(commands) != 1 {
			t.Fatalf("commands %v, %v", commands, err)
		}
	}
	b.put(t, wish("s2"))
	if one, err := b.ClaimCommands(t.Context(), 1, time.Minute); err != nil || len(one) != 1 {
		t.Errorf("one at a time: %v, %v", one, err)
	}
}

func TestRequestFailed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	w := b.take(t, "s")
	if changed, err := b.RequestFailed(t.Context(), "t", "s", 7, "invalid"); err != nil || changed {
		t.Errorf("another version: news %v, %v", changed, err)
	}
	for _, news := range []bool{true, false} {
		if changed, err := b.RequestFailed(t.Context(), "t", "s", w.Session.Request.Version, "invalid"); err != nil || changed != news {
			t.Errorf("news %v, %v", changed, err)
		}
	}
	s := b.session(t, "s")
	if s.State != model.OutlookPending || s.StateReason() != "invalid" || s.Request.Open {
		t.Errorf("session %+v", s)
	}
	if _, ok, err := b.NextCommandDue(t.Context()); err != nil || ok {
		t.Errorf("a command is due: %v, %v", ok, err)
	}
	r := wish("s")
	r.StartsAt, r.EndsAt = tomorrow(14), tomorrow(15)
	if s := b.put(t, r); !s.Request.Open || s.Request.Reason != "" || s.Request.Kind != model.RequestBook {
		t.Errorf("asked anew: %+v", s.Request)
	}
	if w := b.take(t, "s"); w.Session.Request.Version != 2 {
		t.Errorf("work %+v", w.Session.Request)
	}
}

// TestAHealedMailboxWakesRequests: what waited for the mailbox is due at once.
func TestAHealedMailboxWakesRequests(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	w := b.take(t, "s")
	b.fail(t, "access_denied")
	if s := b.session(t, "s"); s.State != model.OutlookUnreachable || s.Request == nil {
		t.Errorf("session %+v", s)
	}
	if _, ok := b.nextDue(t); ok {
		t.Error("a session without an event is due for a reading")
	}
	if err := b.ReleaseRequest(t.Context(), w, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if healed, err := b.MailboxHealed(t.Context(), "t", "p-1"); err != nil || !healed {
		t.Fatal(healed, err)
	}
	commands, err := b.ClaimCommands(t.Context(), 10, time.Minute)
	if err != nil || len(commands) != 1 {
		t.Errorf("commands %v, %v", commands, err)
	}
	if s := b.apply(t, 1); s.State != model.OutlookInSync {
		t.Errorf("applied: %+v", s)
	}
}
