package workers_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// before has fn called before a call of Graph's is answered that has the method and whose path ends so, the first time.
func (h *house) before(method, suffix string, fn func()) {
	var once atomic.Bool
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method && strings.HasSuffix(r.URL.Path, suffix) && once.CompareAndSwap(false, true) {
			fn()
		}
		h.sim.ServeHTTP(w, r)
	})
	h.tamper.Store(&handler)
}

// Somebody answers between our reading and our write: the write is made on what they left.
func TestChangedInTheMiddle(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	r, s := h.booking()
	h.before(http.MethodPatch, s.EventID, func() {
		if err := h.sim.Touch(h.ada.Email, s.EventID); err != nil {
			t.Error(err)
		}
	})
	to := h.nextHour()
	h.putAt(r, to)
	h.settled(r.ID)
	if ev := h.event(s.EventID); !ev.Start.Equal(to) {
		t.Errorf("the event is at %v, want %v", ev.Start, to)
	}
	if got := h.sim.Counters().Answers["update_event 412"]; got != 1 {
		t.Errorf("Outlook refused %d writes for what had changed", got)
	}
	h.tells(r.ID, "platform booked", "platform rescheduled")
}

// Both sides move the meeting, Outlook last, and that between our reading and our write: Outlook's wins, the platform's is on
// record and never pushed.
func TestOutlookWinsInTheMiddle(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	r, s := h.booking()
	theirs, ours := h.nextHour(), h.nextHour()
	h.before(http.MethodPatch, s.EventID, func() {
		if err := h.sim.Move(s.EventID, theirs, theirs.Add(time.Hour)); err != nil {
			t.Error(err)
		}
	})
	h.putAt(r, ours)
	h.lost(r.ID, s.EventID, theirs)
}

// lost is what must be seen where the platform's move lost to that of Outlook.
func (h *house) lost(session, event string, theirs time.Time) {
	h.t.Helper()
	s := h.wait(session, "a conflict", func(s model.Session) bool { return s.State == model.OutlookConflict })
	if !s.StartsAt.Equal(theirs) || s.Request != nil {
		h.t.Errorf("session %+v, want it at %v", s, theirs)
	}
	h.tells(session, "platform booked", "platform rescheduled", "platform superseded")
	// Nothing brings the old wish back.
	if _, err := h.store.SweepMailbox(h.t.Context(), h.tenant, h.ada.ID, model.CauseSweep); err != nil {
		h.t.Fatal(err)
	}
	h.do(h.sim.Touch(h.ada.Email, event))
	h.wait(session, "another reading", func(now model.Session) bool { return now.VerifiedAt.After(*s.VerifiedAt) })
	if ev := h.event(event); !ev.Start.Equal(theirs) {
		h.t.Errorf("the event is at %v, want %v", ev.Start, theirs)
	}
	h.tells(session, "platform booked", "platform rescheduled", "platform superseded")
}

// Both sides move the meeting while nobody looks.
func TestBothSidesMoved(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		outlookLast bool
	}{
		"Outlook last":  {outlookLast: true},
		"platform last": {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{idle: true})
			stop := h.start(nil)
			r, s := h.booking()
			stop()
			theirs, ours := h.nextHour(), h.nextHour()
			if tt.outlookLast {
				r = h.putAt(r, ours)
				testbed.Eventually(t, "Outlook's clock to be past the request's", after(5*time.Millisecond))
			}
			h.do(h.sim.Move(s.EventID, theirs, theirs.Add(time.Hour)))
			if tt.outlookLast {
				h.start(nil)
				h.lost(r.ID, s.EventID, theirs)
				return
			}
			testbed.Eventually(t, "the request's time to be past Outlook's", after(5*time.Millisecond))
			h.putAt(r, ours)
			h.start(nil)
			now := h.settled(r.ID)
			if ev := h.event(s.EventID); !ev.Start.Equal(ours) || !now.StartsAt.Equal(ours) {
				t.Errorf("the event is at %v, the session at %v, want %v", ev.Start, now.StartsAt, ours)
			}
			h.tells(r.ID, "platform booked", "platform rescheduled", "outlook superseded")
		})
	}
}

// The platform calls off what Outlook moves, and Outlook what the platform moves.
func TestMovedAndCalledOff(t *testing.T) {
	t.Parallel()
	t.Run("called off in Outlook after the platform moved it", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, plan{idle: true})
		stop := h.start(nil)
		r, s := h.booking()
		stop()
		h.putAt(r, h.nextHour())
		h.do(h.sim.Cancel(s.EventID))
		h.start(nil)
		h.wait(r.ID, "to be cancelled", cancelled)
		h.tells(r.ID, "platform booked", "platform rescheduled", "platform superseded", "outlook cancelled")
		if len(h.calendar(h.ada)) != 0 {
			t.Error("it was booked again")
		}
	})
	t.Run("moved in Outlook before the platform called it off", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, plan{idle: true})
		stop := h.start(nil)
		r, s := h.booking()
		stop()
		to := h.nextHour()
		h.do(h.sim.Move(s.EventID, to, to.Add(time.Hour)))
		testbed.Eventually(t, "the request's time to be past Outlook's", after(5*time.Millisecond))
		h.callOff(r.ID, "")
		h.start(nil)
		h.wait(r.ID, "to be cancelled", func(s model.Session) bool { return cancelled(s) && s.Request == nil })
		if ev := h.event(s.EventID); !ev.Deleted {
			t.Errorf("event %+v", ev)
		}
	})
}

// A mailbox that is down keeps nothing from being asked for, and gets it when it is well again.
func TestWishesWaitForAMailbox(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	r, s := h.booking()
	h.do(h.sim.SetMailbox(h.ada.Email, simulator.MailboxAccessDenied))
	to := h.nextHour()
	h.putAt(r, to)
	other := h.wish(h.nextHour())
	h.put(other)
	testbed.Eventually(t, "the mailbox to be down", func(ctx) bool { return h.participant("ada").MailboxStatus == model.MailboxUnreachable })
	if now := h.session(r.ID); now.Status != model.SessionScheduled || now.Request == nil || !now.Request.Open {
		t.Errorf("session %+v", now)
	}
	h.do(h.sim.SetMailbox(h.ada.Email, simulator.MailboxOK))
	h.settled(r.ID)
	h.settled(other.ID)
	if ev := h.event(s.EventID); !ev.Start.Equal(to) {
		t.Errorf("the event is at %v, want %v", ev.Start, to)
	}
	if p := h.participant("ada"); p.MailboxStatus != model.MailboxOK {
		t.Errorf("the mailbox is %s", p.MailboxStatus)
	}
	h.tells(r.ID, "platform booked", "platform rescheduled")
	if all := h.calendar(h.ada); len(all) != 2 {
		t.Errorf("%d events", len(all))
	}
}

// The first session of an organisation that has not consented yet is booked once it has.
func TestWishesWaitForConsent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{outlook: simulator.Config{}, idle: true})
	h.do(h.sim.SetConsent(h.tenant, simulator.ConsentMissing))
	h.run()
	r := h.wish(h.nextHour())
	h.put(r)
	testbed.Eventually(t, "a try", func(ctx) bool {
		return h.metric("pairsync_applies_total", "operation", "book", "outcome", "retried") > 0
	})
	h.do(h.sim.SetConsent(h.tenant, simulator.ConsentGranted))
	h.settled(r.ID)
	if got := h.tenantStatus(); got != model.TenantConnected {
		t.Errorf("the tenant is %s", got)
	}
}

// Outlook says to wait, loses answers, and is out of order: nothing is booked twice and nothing given up.
func TestOutlookInTrouble(t *testing.T) {
	t.Parallel()
	tests := map[string]simulator.Fault{
		"throttled":    {Status: 429, RetryAfter: "0.3", Times: 2},
		"out of order": {Status: 503, Times: 3},
		"answers lost": {Lost: true, Times: 2},
		"cut":          {Cut: true, Times: 2},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Even an Outlook that forgets what it has booked under a transaction.
			h := newHouse(t, plan{outlook: simulator.Config{Behaviour: simulator.Behaviour{IgnoreTransactions: true}}})
			for _, op := range []string{"create_event", "update_event", "cancel_event"} {
				f.Operation = op
				h.sim.AddFault(f)
			}
			r := h.wish(h.nextHour())
			h.put(r)
			s := h.settled(r.ID)
			to := h.nextHour()
			h.putAt(r, to)
			h.settled(r.ID)
			if ev := h.event(s.EventID); !ev.Start.Equal(to) {
				t.Errorf("the event is at %v, want %v", ev.Start, to)
			}
			if all := h.calendar(h.ada); len(all) != 1 {
				t.Errorf("%d events", len(all))
			}
			h.callOff(r.ID, "")
			h.wait(r.ID, "to be called off", func(s model.Session) bool { return s.Request == nil && cancelled(s) })
			if all := h.calendar(h.ada); len(all) != 0 {
				t.Errorf("%d events are left", len(all))
			}
			h.tells(r.ID, "platform booked", "platform rescheduled", "platform cancelled")
		})
	}
}

// What Outlook will never accept is given up at once, with the reason where the platform sees it, and a better wish mends it.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	fault := h.sim.AddFault(simulator.Fault{Operation: "create_event", Status: 400, Code: "ErrorInvalidRequest", Message: "No."})
	r := h.wish(h.nextHour())
	h.put(r)
	s := h.wait(r.ID, "to be given up", func(s model.Session) bool { return s.Request != nil && !s.Request.Open })
	if s.State != model.OutlookPending || s.StateReason() != graph.ReasonInvalidRequest {
		t.Errorf("it is %s for %q", s.State, s.StateReason())
	}
	testbed.Eventually(t, "a dead letter", func(c ctx) bool {
		letters, err := h.broker.DeadLetters(c, 0, 10)
		return err == nil && len(letters) == 1 && letters[0].Reason == graph.ReasonInvalidRequest
	})
	h.sim.RemoveFault(fault)
	to := h.nextHour()
	h.putAt(r, to)
	if s := h.settled(r.ID); !h.event(s.EventID).Start.Equal(to) {
		t.Error("the event is elsewhere")
	}
}

// A bug is tried a few times, then given up.
func TestUnreadableForGood(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.MaxAttempts, c.ApplyAgain = 3, 10*time.Second })})
	nonsense := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/events") {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"id": 7`))
			return
		}
		h.sim.ServeHTTP(w, r)
	})
	h.tamper.Store(&nonsense)
	r := h.wish(h.nextHour())
	h.put(r)
	s := h.wait(r.ID, "to be given up", func(s model.Session) bool { return s.Request != nil && !s.Request.Open })
	if s.StateReason() != graph.ReasonUnreadableAnswer {
		t.Errorf("it was given up for %q", s.StateReason())
	}
	if got := h.metric("pairsync_applies_total", "operation", "book", "outcome", "retried"); got != 2 {
		t.Errorf("it was tried again %v times", got)
	}
}

// Under ask, what was changed in Outlook waits, and taking it back brings Outlook back, an event that is gone as a new one.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	tests := map[string]func(h *house, event string) error{
		"moved": func(h *house, event string) error {
			to := h.nextHour()
			return h.sim.Move(event, to, to.Add(time.Hour))
		},
		"cancelled": func(h *house, event string) error { return h.sim.Cancel(event) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{})
			if _, _, err := h.store.PutTenant(t.Context(), model.Tenant{
				ID: h.tenant, Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide,
				Policy: model.Policy{Reschedule: model.PolicyAsk, Cancel: model.PolicyAsk},
			}); err != nil {
				t.Fatal(err)
			}
			h.subscribe(h.ada)
			r, s := h.booking()
			h.do(change(h, s.EventID))
			waits := h.wait(r.ID, "to wait for an answer", func(s model.Session) bool { return s.Pending != nil })
			if waits.Status != model.SessionScheduled || !waits.StartsAt.Equal(r.StartsAt) {
				t.Errorf("session %+v", waits)
			}
			if _, err := h.store.UndoPending(t.Context(), h.tenant, waits.Pending.ID, time.Now()); err != nil {
				t.Fatal(err)
			}
			now := h.settled(r.ID)
			ev := h.event(now.EventID)
			if !ev.Start.Equal(r.StartsAt) || ev.Deleted || now.Status != model.SessionScheduled || now.JoinURL == "" {
				t.Errorf("session %+v of event %+v", now, ev)
			}
			if all := h.calendar(h.ada); len(all) != 1 {
				t.Errorf("%d events", len(all))
			}
			h.quiet()
			if last := h.settled(r.ID); last.Version != now.Version {
				t.Errorf("it went on to %v", h.story(r.ID))
			}
		})
	}
}

// Two processes share the work, and no session is worked on by both.
func TestTwoProcessesApply(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{idle: true})
	h.start(nil)
	h.start(nil)
	var all []model.SessionRequest
	for range 12 {
		r := h.wish(h.nextHour())
		h.put(r)
		all = append(all, r)
	}
	for i := range all {
		all[i] = h.putAt(all[i], h.nextHour())
	}
	for _, r := range all {
		s := h.settled(r.ID)
		if ev := h.event(s.EventID); !ev.Start.Equal(r.StartsAt) {
			t.Errorf("the event is at %v, want %v", ev.Start, r.StartsAt)
		}
		h.tells(r.ID, "platform booked", "platform rescheduled")
	}
	if events := h.calendar(h.ada); len(events) != len(all) {
		t.Errorf("%d events", len(events))
	}
}
