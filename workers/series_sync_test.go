package workers_test

import (
	"testing"
	"time"

	"pairsync/internal/simulator"
	"pairsync/model"
)

// series books a weekly series of ada and grace and makes the named instances sessions.
func (h *house) series(count int, instances ...int) (sessions []string, booked simulator.Booked) {
	h.t.Helper()
	start := h.nextHour()
	booked, err := h.sim.Book(simulator.Meeting{
		Organizer: h.ada.Email, Attendees: []string{h.grace.Email}, Subject: "Mentoring", Start: start, End: start.Add(30 * time.Minute),
		Repeat: "weekly", Count: count,
	})
	h.do(err)
	for _, i := range instances {
		s := h.link("ada", []string{"grace"}, booked.Instances[i].ID, booked.Instances[i].OriginalStart)
		sessions = append(sessions, s)
		got := h.wait(s, "its first reading", inSync)
		if got.SeriesMasterID != booked.ID || got.OriginalStart == nil {
			h.t.Fatalf("instance %d was read as one of %q from %v", i, got.SeriesMasterID, got.OriginalStart)
		}
	}
	return sessions, booked
}

// Of what happens to an instance, Graph tells only under the id of its master.
func TestInstanceOfASeries(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	sessions, booked := h.series(6, 1, 3)
	moved, other := sessions[0], sessions[1]

	to := booked.Instances[1].OriginalStart.Add(26 * time.Hour)
	h.do(h.sim.Move(booked.Instances[1].ID, to, to.Add(time.Hour)))
	h.wait(moved, "the new time", startsAt(to))
	h.quiet()
	h.history(moved, model.KindRescheduled)
	h.history(other)

	h.do(h.sim.Cancel(booked.Instances[3].ID))
	h.wait(other, "the cancellation", cancelled)
	h.quiet()
	h.history(other, model.KindCancelled)
	h.history(moved, model.KindRescheduled)

	// Of the instances that are nobody's sessions none is read by itself.
	if reads := h.sim.Reads(booked.Instances[0].ID); reads > 20 {
		t.Errorf("an instance that is no session was read %d times", reads)
	}
}

func TestInstanceMovedTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) {
		c.DoubtRetries = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond}
	})})
	h.subscribe(h.ada)
	sessions, booked := h.series(4, 2)
	h.sim.SetBehaviour(simulator.Behaviour{StaleReads: simulator.Duration{Duration: 300 * time.Millisecond}})
	at := booked.Instances[2].OriginalStart
	h.do(h.sim.Move(booked.Instances[2].ID, at.Add(time.Hour), at.Add(2*time.Hour)))
	h.do(h.sim.Move(booked.Instances[2].ID, at.Add(3*time.Hour), at.Add(4*time.Hour)))
	h.wait(sessions[0], "the last time", startsAt(at.Add(3*time.Hour)))
}

func TestWholeSeriesCalledOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	sessions, booked := h.series(5, 0, 2, 4)
	h.do(h.sim.Cancel(booked.ID))
	for _, s := range sessions {
		h.wait(s, "the cancellation", cancelled)
	}
	h.quiet()
	for _, s := range sessions {
		h.history(s, model.KindCancelled)
	}
}

func TestAnswerToAnInstance(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	sessions, booked := h.series(4, 1, 2)
	h.do(h.sim.Accept(h.grace.Email, booked.ID))
	for _, s := range sessions {
		h.wait(s, "the acceptance", answered("grace", model.ResponseAccepted))
	}
	h.quiet()
	for _, s := range sessions {
		h.history(s, model.KindRSVPChanged)
	}
}
