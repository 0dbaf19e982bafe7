package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pairsync/internal/simulator"
)

// TestNotificationsAreOnlyHints has Outlook tell of everything ten times, late, and in any order.
func TestNotificationsAreOnlyHints(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 2)
	s.outlook.sim.SetBehaviour(simulator.Behaviour{
		Duplicates: 9, ReorderNotifications: true, ExtraUpdates: 3, NotificationJitter: simulator.Duration{Duration: time.Second},
	})

	// One change: one entry.
	for _, m := range meetings {
		s.move(t, m)
	}
	s.agree(t, meetings)
	s.idle(t)
	s.agree(t, meetings)

	// Twice within a second: both or the last, never the first alone.
	for _, m := range meetings {
		s.move(t, m)
		s.move(t, m)
	}
	s.idle(t)
	for _, m := range meetings {
		have, err := s.history(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, change := range have {
			words = append(words, told(change))
		}
		last := len(m.did) - 1
		if !slices.Equal(words, m.did) && !slices.Equal(words, slices.Delete(slices.Clone(m.did), last-1, last)) {
			t.Errorf("the history of %s is %v, want %v, with or without the last but one", m.id, words, m.did)
		}
		s.equals(t, m)
	}

	// What is private is not even looked at.
	var private []string
	mentor := meetings[0].pair.mentor.email
	for i := range 5 {
		begin := time.Now().Add(time.Duration(24+i) * time.Hour)
		booked, err := s.outlook.sim.AddPrivateEvent(mentor, "Dentist", begin, begin.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.outlook.sim.Move(booked.ID, begin.Add(time.Hour), begin.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		private = append(private, booked.ID)
	}
	s.idle(t)
	if n := s.metric(t.Context(), t, "reconciles_total", `outcome="unrelated"`); n == 0 {
		t.Error("no hint counts as unrelated, so none of the private events was told of")
	}
	for _, event := range private {
		if n := s.outlook.sim.Reads(event); n != 0 {
			t.Errorf("a private event was read %d times", n)
		}
	}
	if dead := s.metric(t.Context(), t, "deadletters"); dead != 0 {
		t.Errorf("%v dead letters", dead)
	}
}

// idle waits until all notifications were delivered and worked off.
func (s *site) idle(t *testing.T) {
	t.Helper()
	s.settled(t)
	within(t, "the queue to be empty", func(ctx context.Context) (bool, error) {
		return s.metric(ctx, t, "queue_pending", `consumer="reconcile"`) == 0, nil
	})
}

// TestTheSweepFindsWhatNobodyTold loses every notification.
func TestTheSweepFindsWhatNobodyTold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sweepSoon()
	start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 1)
	s.outlook.sim.SetBehaviour(simulator.Behaviour{DropNotifications: 1})
	// Sessions are also read when they are linked and when their mailbox is subscribed. What is acted only later is the
	// sweep's to find.
	within(t, "the readings after linking and subscribing to be over", func(ctx context.Context) (bool, error) {
		return s.metric(ctx, t, "sweep_verified_total") >= float64(4*len(meetings)), nil
	})

	for _, m := range meetings[:2] {
		s.move(t, m)
		s.answer(t, m, s.outlook.sim.Accept, "accepted")
	}
	s.cancel(t, meetings[2])
	s.agree(t, meetings)
	if err := s.onlySwept(t, meetings); err != nil {
		t.Error(err)
	}
	within(t, "the drift to be counted", func(ctx context.Context) (bool, error) { return s.metric(ctx, t, "sweep_drift_total") == 5, nil })
	if n := s.metric(t.Context(), t, "sweep_verified_total"); n < 4 {
		t.Errorf("%v sessions count as verified", n)
	}
}

// onlySwept tells of a change that came in another way than by the sweep.
func (s *site) onlySwept(t *testing.T, meetings []*meeting) error {
	t.Helper()
	for _, m := range meetings {
		have, err := s.history(t.Context(), m)
		if err != nil {
			return err
		}
		for _, change := range have[1:] {
			if change.Cause != "sweep" {
				return fmt.Errorf("%s of %s came by %s", change.Kind, m.id, change.Cause)
			}
		}
	}
	return nil
}
