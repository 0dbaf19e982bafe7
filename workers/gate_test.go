package workers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestGateKeepsTenantsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 2*time.Second)
		var inside []func()
		for range 2 {
			leave, ok := g.enter(t.Context(), "full", "")
			if !ok {
				t.Fatal("a free place was refused")
			}
			inside = append(inside, leave)
		}
		begun := time.Now()
		if _, ok := g.enter(t.Context(), "full", ""); ok {
			t.Fatal("a third got in")
		}
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Errorf("waited %v", waited)
		}
		leave, ok := g.enter(t.Context(), "other", "")
		if !ok {
			t.Fatal("another tenant was kept out")
		}
		leave()
		for _, leave := range inside {
			leave()
		}
		if len(g.doors) != 0 {
			t.Errorf("%d doors are remembered with nobody inside", len(g.doors))
		}
	})
}

func TestGateTurnsAwayAtOnceWhenNothingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 2*time.Second)
		leave, _ := g.enter(t.Context(), "hung", "")
		if err := pause(t.Context(), 3*time.Second); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, ok := g.enter(t.Context(), "hung", ""); ok || time.Since(begun) != 0 {
			t.Errorf("got in: %v, after %v", ok, time.Since(begun))
		}
		leave()
		leave, ok := g.enter(t.Context(), "hung", "")
		if !ok {
			t.Fatal("a free place was refused")
		}
		leave()
	})
}

func TestGateHandsPlacesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 2*time.Second)
		leave, _ := g.enter(t.Context(), "busy", "")
		got := make(chan bool)
		go func() {
			next, ok := g.enter(t.Context(), "busy", "")
			if ok {
				next()
			}
			got <- ok
		}()
		synctest.Wait()
		leave()
		if !<-got {
			t.Error("the waiting one was turned away")
		}
	})
}

func TestGateEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Hour)
		leave, _ := g.enter(t.Context(), "busy", "")
		defer leave()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if _, ok := g.enter(ctx, "busy", ""); ok || time.Since(begun) != time.Minute {
			t.Errorf("got in: %v, after %v", ok, time.Since(begun))
		}
	})
}

func TestGateKeepsMailboxesApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(100, 2*time.Second)
		for range mailboxPlaces {
			leave, ok := g.enter(t.Context(), "tenant", "hung")
			if !ok {
				t.Fatal("a free place was refused")
			}
			defer leave()
		}
		if _, ok := g.enter(t.Context(), "tenant", "hung"); ok {
			t.Fatal("one more got in")
		}
		leave, ok := g.enter(t.Context(), "tenant", "well")
		if !ok {
			t.Fatal("another mailbox was kept out")
		}
		leave()
		if len(g.doors) != 2 {
			t.Errorf("%d doors are remembered, want the mailbox's and the tenant's", len(g.doors))
		}
	})
}
