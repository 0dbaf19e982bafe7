package workers_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// kill ends the goroutine that makes the nth step, and after it every other one that makes a step: to the database, the queue
// and Outlook it is as if the process had been killed there. dead is closed then.
func kill(nth int64) (steps func(ctx, string), dead chan string) {
	dead = make(chan string, 1)
	var made atomic.Int64
	return func(_ ctx, done string) {
		switch n := made.Add(1); {
		case n < nth:
			return
		case n == nth:
			dead <- done
		}
		runtime.Goexit()
	}, dead
}

// life is what the platform wants of one session, one thing after the other, and what must have come of it in the end.
type life struct {
	act  []func(h *house, r *model.SessionRequest)
	want []string
	// at is when the event has to be, as a place in the hours that were given out; off says that there must be none.
	off bool
}

func lives() map[string]life {
	move := func(h *house, r *model.SessionRequest) { *r = h.putAt(*r, h.nextHour()) }
	book := func(h *house, r *model.SessionRequest) { h.put(*r) }
	off := func(h *house, r *model.SessionRequest) { h.callOff(r.ID, "sorry") }
	return map[string]life{
		"book":   {act: []func(*house, *model.SessionRequest){book}, want: []string{"platform booked"}},
		"move":   {act: []func(*house, *model.SessionRequest){book, move}, want: []string{"platform booked", "platform rescheduled"}},
		"cancel": {act: []func(*house, *model.SessionRequest){book, off}, want: []string{"platform booked", "platform cancelled"}, off: true},
	}
}

// TestKilledAtEveryStep stops the world at each step on the way of a booking, a move and a cancellation in turn, and starts
// another process on the same database and the same stream. The platform asks for the next thing while nobody is there, or
// once the new process has caught up: both are tried.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, l := range lives() {
		for _, meanwhile := range []bool{false, true} {
			if meanwhile && len(l.act) == 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s, asked meanwhile %v", name, meanwhile), func(t *testing.T) {
				t.Parallel()
				for nth := int64(1); ; nth++ {
					if !killedAt(t, l, nth, meanwhile) {
						if nth < 5 {
							t.Errorf("there are only %d steps", nth-1)
						}
						return
					}
				}
			})
		}
	}
}

// killedAt is one such story; false says that it was over before the nth step.
func killedAt(t *testing.T, l life, nth int64, meanwhile bool) (killed bool) {
	t.Helper()
	h := newHouse(t, plan{idle: true, workers: paced(func(c *config) {
		// The claim of the killed process has to lapse, and the command that it took to be published again.
		c.ApplyLease, c.ApplyAgain, c.Grace = 500*time.Millisecond, 300*time.Millisecond, time.Millisecond
	})})
	steps, dead := kill(nth)
	stop := h.start(steps)
	r := h.wish(h.nextHour())
	l.act[0](h, &r)
	rest := l.act[1:]
	place := ""
	over := func(ctx) bool {
		select {
		case place = <-dead:
			return true
		default:
			return h.session(r.ID).Request == nil
		}
	}
	testbed.Eventually(t, "the first wish to be granted, or the end", over)
	if place == "" {
		for _, act := range rest {
			act(h, &r)
		}
		rest = nil
		testbed.Eventually(t, "everything to be granted, or the end", over)
	}
	if place == "" {
		stop()
		return false
	}
	if meanwhile {
		for _, act := range rest {
			act(h, &r)
		}
		rest = nil
	}
	stop()
	again := h.start(nil)
	for _, act := range rest {
		h.settled(r.ID)
		act(h, &r)
	}
	s := h.wait(r.ID, fmt.Sprintf("to be as it should after the end at step %d, %s", nth, place), func(s model.Session) bool {
		return s.Request == nil && s.State == model.OutlookInSync
	})
	if _, err := h.store.SweepMailbox(t.Context(), h.tenant, h.ada.ID, model.CauseSweep); err != nil {
		t.Fatal(err)
	}
	ada, grace := h.calendar(h.ada), h.calendar(h.grace)
	switch {
	case l.off:
		if s.Status != model.SessionCancelled || len(ada) != 0 {
			t.Errorf("killed at step %d, %s: the session is %s, ada has %+v", nth, place, s.Status, ada)
		}
		for _, left := range grace {
			if !left.Cancelled {
				t.Errorf("killed at step %d, %s: grace has %+v", nth, place, left)
			}
		}
	case len(ada) != 1 || len(grace) != 1:
		t.Errorf("killed at step %d, %s: ada has %d events, grace %d", nth, place, len(ada), len(grace))
	case ada[0].ID != s.EventID || !ada[0].Start.Equal(r.StartsAt) || !s.StartsAt.Equal(r.StartsAt) || s.JoinURL != ada[0].JoinURL:
		t.Errorf("killed at step %d, %s: session %+v of event %+v, want %v", nth, place, s, ada[0], r.StartsAt)
	}
	if diff := cmp.Diff(l.want, h.story(r.ID)); diff != "" {
		t.Errorf("killed at step %d, %s: history (-want +got):\n%s", nth, place, diff)
	}
	again()
	return true
}
