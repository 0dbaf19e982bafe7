package workers_test

import (
	"fmt"
	"testing"
	"time"

	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// Nothing is subscribed in these tests: only the sweep can find what happens.

func sweeping() config {
	return paced(func(c *config) { c.SweepInterval = 200 * time.Millisecond })
}

func TestSweepFindsWhatNobodyTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: sweeping()})
	moved, movedBooked := h.meeting()
	off, offBooked := h.meeting()
	gone, goneBooked := h.meeting()
	calm, _ := h.meeting()
	to := h.nextHour()
	h.do(h.sim.Move(movedBooked.ID, to, to.Add(time.Hour)))
	h.sim.SetBehaviour(simulator.Behaviour{KeepCancelled: true})
	h.do(h.sim.Cancel(offBooked.ID))
	h.wait(off, "the cancellation", cancelled)
	h.sim.SetBehaviour(simulator.Behaviour{})
	h.do(h.sim.Delete(h.ada.Email, goneBooked.ID))
	h.wait(moved, "the new time", startsAt(to))
	h.wait(gone, "the cancellation", cancelled)
	h.history(moved, model.KindRescheduled)
	h.history(off, model.KindCancelled)
	h.history(gone, model.KindCancelled)
	h.history(calm)
	if got := h.changes(moved)[1].Cause; got != model.CauseSweep {
		t.Errorf("the cause is %s", got)
	}
	if got := h.metric("pairsync_sweep_drift_total"); got != 3 {
		t.Errorf("%v changes are counted as drift, want 3", got)
	}
	before := h.metric("pairsync_sweep_verified_total")
	testbed.Eventually(t, "the sweep to go on", func(ctx) bool { return h.metric("pairsync_sweep_verified_total") > before+8 })
	h.do(h.sim.Restore(h.ada.Email, goneBooked.ID))
	h.wait(gone, "the reinstatement", func(s model.Session) bool { return s.Status == model.SessionScheduled })
}

func TestSweepReadsInBatches(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{idle: true})
	var sessions []string
	for i := range 60 {
		p := fmt.Sprintf("organizer-%d", i%20)
		if i < 20 {
			h.person(p)
		}
		start := h.nextHour()
		b, err := h.sim.Book(simulator.Meeting{Organizer: p + "@contoso.example", Attendees: []string{h.grace.Email}, Subject: "Mentoring", Start: start, End: start.Add(time.Hour)})
		h.do(err)
		sessions = append(sessions, h.link(p, []string{"grace"}, b.ID, start))
	}
	h.run()
	for _, s := range sessions {
		h.wait(s, "its first reading", inSync)
	}
	c := h.sim.Counters()
	if c.Calls["batch"] == 0 || c.Calls["batch"] > 12 {
		t.Errorf("60 sessions took %d batches: %v", c.Calls["batch"], c.Calls)
	}
	for box, most := range c.MostConcurrent {
		if most > 3 {
			t.Errorf("mailbox %s had %d calls at a time", box, most)
		}
	}
}

// A session is read at once when it is linked, with the platform's request as the cause of what that finds.
func TestLinkedSessionIsReadAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.meeting()
	start := h.nextHour()
	b, err := h.sim.Book(simulator.Meeting{Organizer: h.ada.Email, Attendees: []string{h.grace.Email}, Subject: "Mentoring", Start: start, End: start.Add(time.Hour)})
	h.do(err)
	begun := time.Now()
	session := h.link("ada", []string{"grace"}, b.ID, start)
	h.wait(session, "its first reading", inSync)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the first reading took %v", took)
	}
	h.wait(session, "the end that Outlook has", func(s model.Session) bool { return s.EndsAt.Equal(start.Add(time.Hour)) })
	h.history(session, model.KindRescheduled)
	if got := h.changes(session)[1].Cause; got != model.CauseRequest {
		t.Errorf("the cause is %s", got)
	}
	if got := h.metric("pairsync_sweep_drift_total"); got != 0 {
		t.Errorf("%v changes are counted as drift", got)
	}
}

// One tenant whose calls hang keeps nobody else's sessions waiting.
func TestHangingTenantDelaysNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.SweepInterval = 200 * time.Millisecond })})
	well, wellBooked := h.meeting()

	sick, err := h.sim.AddTenant(simulator.Tenant{Name: "Fabrikam", Domain: "fabrikam.example"})
	h.do(err)
	if _, _, err := h.store.PutTenant(t.Context(), model.Tenant{ID: sick.ID, Name: "Fabrikam", OwnerEmail: "it@fabrikam.example", Method: model.MethodDomainWide}); err != nil {
		t.Fatal(err)
	}
	h.sim.AddFault(simulator.Fault{Tenant: sick.ID, Latency: simulator.Duration{Duration: 3 * time.Second}})
	for i := range 40 {
		id := fmt.Sprintf("sick-%d", i)
		u, err := h.sim.AddUser(simulator.User{Tenant: sick.ID, Name: id, Email: id + "@fabrikam.example"})
		h.do(err)
		if _, _, err := h.store.PutParticipant(t.Context(), model.Participant{Tenant: sick.ID, ID: id, Email: u.Email}); err != nil {
			t.Fatal(err)
		}
		if err := h.store.SetMailboxID(t.Context(), sick.ID, id, u.ID); err != nil {
			t.Fatal(err)
		}
		start := h.nextHour()
		if _, _, err := h.store.PutSession(t.Context(), model.SessionRequest{
			Tenant: sick.ID, ID: id, Organizer: id, StartsAt: start, EndsAt: start.Add(time.Hour), TimeZone: "UTC", EventID: id,
		}); err != nil {
			t.Fatal(err)
		}
	}
	to := h.nextHour()
	h.do(h.sim.Move(wellBooked.ID, to, to.Add(time.Hour)))
	begun := time.Now()
	h.wait(well, "the new time", startsAt(to))
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestSilentSubscriptionIsFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.SweepInterval, c.SilenceGrace = 200*time.Millisecond, 100*time.Millisecond })})
	session, booked := h.meeting()
	subscription := func() model.Subscription {
		subs, err := h.store.SubscriptionsDue(t.Context(), 10, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range subs {
			if s.Participant == "ada" {
				return s
			}
		}
		return model.Subscription{}
	}
	row := subscription()
	row.MailboxID, row.GraphID, row.State = h.ada.ID, "a subscription that says nothing", model.SubscriptionActive
	row.GrantedAt, row.ExpiresAt, row.DueAt = time.Now(), time.Now().Add(2*time.Hour), time.Now().Add(time.Hour)
	if err := h.store.SaveSubscription(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	h.wait(session, "the new time", startsAt(to))
	testbed.Eventually(t, "the subscription to be marked silent", func(ctx) bool { return subscription().Silent })
}

func TestSubscriptionThatSpeaksIsNotSilent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.SweepInterval, c.SilenceGrace = 100*time.Millisecond, 400*time.Millisecond })})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	h.sim.SetBehaviour(simulator.Behaviour{NotificationDelay: simulator.Duration{Duration: 200 * time.Millisecond}})
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	h.wait(session, "the new time", startsAt(to))
	h.quiet()
	h.history(session, model.KindRescheduled)
	if got := h.logs.String(); got != "" {
		t.Errorf("logged: %s", got)
	}
}
