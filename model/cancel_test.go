package model_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pairsync/model"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.booked(t)
	_, err := b.CancelSession(t.Context(), "t", "none", "", time.Time{})
	notFound(t, err, model.ThingSession, "none")
	for range 2 {
		s, err := b.CancelSession(t.Context(), "t", "s", "Ada is ill", time.Time{})
		if err != nil || s.Status != model.SessionCancelled || s.State != model.OutlookPending || s.Request.Comment != "Ada is ill" {
			t.Fatalf("cancelled %+v, %v", s, err)
		}
	}
	stale := b.session(t, "s")
	if out := b.commit(t, reading(stale, eventOf(stale, 1))); len(out.Changes) > 0 || out.Session.Request == nil {
		t.Errorf("a reading before Outlook is told: %v", kinds(out.Changes))
	}
	s := b.apply(t, 0)
	if s.State != model.OutlookInSync || s.Request != nil || !s.Vanished || s.Status != model.SessionCancelled {
		t.Errorf("applied: %+v", s)
	}
	lag := eventOf(s, 1)
	lag.ReadAt = time.Now()
	for name, o := range map[string]model.Observation{"the 404 that follows": {ReadAt: time.Now()}, "Outlook lags behind": lag} {
		if out := b.commit(t, reading(s, o)); len(out.Changes) > 0 || out.Session.Status != model.SessionCancelled {
			t.Errorf("%s: %v", name, kinds(out.Changes))
		}
	}
	equal(t, "history", kinds(b.history(t)), []model.ChangeKind{model.KindBooked, model.KindCancelled})
	if s := b.put(t, wish("s")); s.Status != model.SessionCancelled {
		t.Errorf("a repetition: %+v", s)
	}
	r := wish("s")
	r.StartsAt, r.EndsAt = tomorrow(14), tomorrow(15)
	if _, _, err := b.PutSession(t.Context(), r); !errors.Is(err, model.ErrCancelled) {
		t.Errorf("another time: %v", err)
	}
}

// TestCancelBeforeItIsBooked: what nobody has tried to book needs nobody to cancel it; what somebody may have, does.
func TestCancelBeforeItIsBooked(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, tried := range []bool{false, true} {
		id := fmt.Sprint("s-", tried)
		b.put(t, wish(id))
		if tried {
			b.take(t, id)
		}
		s, err := b.CancelSession(t.Context(), "t", id, "", time.Time{})
		if err != nil || (s.Request != nil) != tried {
			t.Errorf("tried %v: %+v, %v", tried, s.Request, err)
		}
	}
	commands, err := b.ClaimCommands(t.Context(), 10, time.Minute)
	if err != nil || len(commands) != 1 || commands[0].Session != "s-true" {
		t.Errorf("commands %v, %v", commands, err)
	}
}
