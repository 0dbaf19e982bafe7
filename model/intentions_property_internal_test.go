package model

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTheLaterIntentionWins lets both sides act in any order, with readings of any age, writes that are confirmed late or
// never, and a worker that dies anywhere. At rest both sides are the same, and the meeting is when the last intention said;
// what has lost was never written; and the changes lead without a gap from the first to the last.
func TestTheLaterIntentionWins(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Policy{})
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			w.anything()
		}
		w.rest()
		s := w.session
		if w.event == nil || !w.event.StartsAt.Equal(s.StartsAt) {
			t.Fatalf("Outlook %+v, session at %v", w.event, s.StartsAt)
		}
		if !s.StartsAt.Equal(w.moved) {
			t.Fatalf("the session is at %v, the last intention was %v", s.StartsAt, w.moved)
		}
		var people []string
		for _, a := range w.event.Attendees {
			people = append(people, a.Email)
		}
		if !slices.Equal(lower(people), s.people()) {
			t.Fatalf("Outlook invites %v, the session %v", people, s.people())
		}
		if s.Seen != nil || s.Request != nil || s.State == OutlookPending {
			t.Fatalf("at rest: %+v", s)
		}
		byOutlook := 0
		for _, c := range w.feed {
			if c.Kind == KindRescheduled && c.Source == SourceOutlook {
				byOutlook++
			}
		}
		if byOutlook > w.human {
			t.Fatalf("%d moves in Outlook gave %d changes", w.human, byOutlook)
		}
	})
}

// TestBothSidesKnowEachOther lets meetings be called off and policies stand between the sides. At rest the session knows what
// Outlook shows, at most one change waits for an answer, nothing is on its way, and a meeting that the platform has called off
// stays off.
func TestBothSidesKnowEachOther(t *testing.T) {
	t.Parallel()
	choices := []PolicyChoice{PolicyApply, PolicyAsk, PolicyNotify}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Policy{
			Reschedule: rapid.SampledFrom(choices).Draw(t, "reschedule"), Cancel: rapid.SampledFrom(choices).Draw(t, "cancel"),
		})
		w.rough = true
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			w.anything()
		}
		w.rest()
		s := w.session
		if s.Request != nil || s.State != s.standing() {
			t.Fatalf("at rest: %+v", s)
		}
		open := 0
		for id, status := range w.pending {
			if status != PendingOpen {
				continue
			}
			open++
			if s.Pending == nil || s.Pending.ID != id {
				t.Fatalf("%s waits, the session has %+v", id, s.Pending)
			}
		}
		if open == 0 && s.Pending != nil {
			t.Fatalf("the session waits for %+v", s.Pending)
		}
		seen := s.seen()
		if seen.Cancelled == w.alive() && s.EventID != "" {
			t.Fatalf("Outlook %+v, seen %+v, session %+v", w.event, seen, s)
		}
		if w.alive() && !seen.showsTimes(w.event.StartsAt, w.event.EndsAt) {
			t.Fatalf("Outlook %+v, seen %+v", w.event, seen)
		}
		if s.EventID == "" && w.alive() {
			t.Fatalf("an event that no session has: %+v", w.event)
		}
		if w.policy == (Policy{PolicyApply, PolicyApply}) && (s.Status == SessionScheduled) != w.alive() {
			t.Fatalf("session %s, Outlook %+v", s.Status, w.event)
		}
	})
}

func lower(emails []string) []string {
	var s Session
	for _, e := range emails {
		s.Attendees = append(s.Attendees, Attendee{Email: e})
	}
	return s.people()
}
