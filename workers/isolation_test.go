package workers_test

import (
	"fmt"
	"testing"
	"time"

	"pairsync/internal/simulator"
)

// A mailbox whose calls hang holds up neither its organisation's other mailboxes nor anybody else's.
func TestHangingMailboxDelaysNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.Concurrency, c.TenantConcurrency = 24, 12 })})
	h.subscribe(h.ada)
	h.subscribe(h.grace)
	var hung []simulator.Booked
	for range 30 {
		_, b := h.meeting()
		hung = append(hung, b)
	}
	start := h.nextHour()
	fastBooked, err := h.sim.Book(simulator.Meeting{Organizer: h.grace.Email, Attendees: []string{h.ada.Email}, Subject: "Back", Start: start, End: start.Add(time.Hour)})
	h.do(err)
	fast := h.link("grace", []string{"ada"}, fastBooked.ID, start)
	h.wait(fast, "its first reading", inSync)
	h.quiet()

	fault := h.sim.AddFault(simulator.Fault{Mailbox: h.ada.ID, Latency: simulator.Duration{Duration: 4 * time.Second}})
	for _, b := range hung {
		h.do(h.sim.Touch(h.ada.Email, b.ID))
	}
	for i := range 3 {
		to := start.Add(time.Duration(i+1) * 15 * time.Minute)
		begun := time.Now()
		h.do(h.sim.Move(fastBooked.ID, to, to.Add(time.Hour)))
		h.wait(fast, fmt.Sprintf("move %d", i+1), startsAt(to))
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("move %d took %v", i+1, took)
		}
	}
	h.sim.RemoveFault(fault)
	h.quiet()
}
