package workers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func (h *house) participant(id string) model.Participant {
	h.t.Helper()
	p, err := h.store.Participant(h.t.Context(), h.tenant, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func unreachable(s model.Session) bool { return s.State == model.OutlookUnreachable }

// Whatever shuts a mailbox, its sessions stand as last known, and it heals by itself.
func TestShutMailbox(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind simulator.MailboxKind
	}{
		"access revoked":    {simulator.MailboxAccessDenied},
		"not in the cloud":  {simulator.MailboxNotEnabled},
		"not supported":     {simulator.MailboxNotSupported},
		"no mailbox":        {simulator.MailboxNone},
		"its owner is gone": {simulator.MailboxDeleted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{})
			h.subscribe(h.ada)
			session, booked := h.meeting()
			other, _ := h.meeting()
			h.do(h.sim.SetMailbox(h.ada.Email, tt.kind))
			to := h.nextHour()
			h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
			// Of most of these mailboxes Graph sends no word.
			if _, err := h.store.SweepMailbox(t.Context(), h.tenant, h.ada.ID, model.CauseSweep); err != nil {
				t.Fatal(err)
			}
			s := h.wait(session, "to be unreachable", unreachable)
			h.wait(other, "to be unreachable too", unreachable)
			if s.Status != model.SessionScheduled {
				t.Error("the session was cancelled")
			}
			if p := h.participant("ada"); p.MailboxStatus != model.MailboxUnreachable || p.MailboxReason == "" {
				t.Errorf("the mailbox is %s (%s)", p.MailboxStatus, p.MailboxReason)
			}
			h.quiet()
			h.history(session)

			h.do(h.sim.SetMailbox(h.ada.Email, simulator.MailboxOK))
			h.wait(session, "the new time", startsAt(to))
			h.wait(other, "to be in sync again", inSync)
			if p := h.participant("ada"); p.MailboxStatus != model.MailboxOK || p.MailboxReason != "" {
				t.Errorf("the mailbox is %s (%s)", p.MailboxStatus, p.MailboxReason)
			}
			h.history(session, model.KindRescheduled)
			h.history(other)
			if got := h.metric("pairsync_reconciles_total", "outcome", "dead"); got != 0 {
				t.Errorf("%v groups are dead", got)
			}
		})
	}
}

// A mailbox that is down is asked once after each pause, not once for each of its sessions.
func TestOneProbeForAMailboxThatIsDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.ProbeMin, c.ProbeMax = 300*time.Millisecond, 300*time.Millisecond })})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	for range 9 {
		h.meeting()
	}
	h.do(h.sim.SetMailbox(h.ada.Email, simulator.MailboxAccessDenied))
	h.do(h.sim.Touch(h.ada.Email, booked.ID))
	h.wait(session, "to be unreachable", unreachable)
	h.quiet()
	refusals := func() int {
		n := 0
		for call, count := range h.sim.Counters().Answers {
			if strings.HasSuffix(call, " 403") {
				n += count
			}
		}
		return n
	}
	before, begun := refusals(), time.Now()
	testbed.Eventually(t, "three probes", func(ctx) bool { return refusals() >= before+3 })
	if probes, most := refusals()-before, int(time.Since(begun)/(150*time.Millisecond))+2; probes > most {
		t.Errorf("%d probes in %v", probes, time.Since(begun))
	}
}

func TestConsentWithdrawn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	if got := h.tenantStatus(); got != model.TenantConnected {
		t.Errorf("after the first reading the tenant is %s", got)
	}
	// Tokens that are out are refused, and no new one is given.
	h.do(h.sim.SetConsent(h.tenant, simulator.ConsentMissing))
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	s := h.wait(session, "to be unreachable", unreachable)
	if s.Status != model.SessionScheduled {
		t.Error("the session was cancelled")
	}
	testbed.Eventually(t, "the tenant to be failing", func(ctx) bool { return h.tenantStatus() == model.TenantFailing })
	h.do(h.sim.SetConsent(h.tenant, simulator.ConsentGranted))
	h.wait(session, "the new time", startsAt(to))
	testbed.Eventually(t, "the tenant to be connected", func(ctx) bool { return h.tenantStatus() == model.TenantConnected })
	h.history(session, model.KindRescheduled)
}

func (h *house) tenantStatus() model.TenantStatus {
	h.t.Helper()
	tenant, err := h.store.Tenant(h.t.Context(), h.tenant)
	if err != nil {
		h.t.Fatal(err)
	}
	return tenant.Status
}

func TestThrottledMailboxDelaysOnlyItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	h.subscribe(h.grace)
	slow, slowBooked := h.meeting()
	start := h.nextHour()
	fastBooked, err := h.sim.Book(simulator.Meeting{Organizer: h.grace.Email, Attendees: []string{h.ada.Email}, Subject: "Back", Start: start, End: start.Add(time.Hour)})
	h.do(err)
	fast := h.link("grace", []string{"ada"}, fastBooked.ID, start)
	h.wait(fast, "its first reading", inSync)

	fault := h.sim.AddFault(simulator.Fault{Mailbox: h.ada.ID, Status: 429, RetryAfter: "0.6"})
	to := h.nextHour()
	begun := time.Now()
	h.do(h.sim.Move(slowBooked.ID, to, to.Add(time.Hour)))
	testbed.Eventually(t, "the throttled group to be put back", func(ctx) bool {
		return h.metric("pairsync_reconciles_total", "outcome", "retried") > 0
	})
	h.do(h.sim.Move(fastBooked.ID, to, to.Add(time.Hour)))
	h.wait(fast, "the new time", startsAt(to))
	if took := time.Since(begun); took > 600*time.Millisecond {
		t.Logf("another mailbox's change took %v", took)
	}
	if h.session(slow).StartsAt.Equal(to) {
		t.Error("the throttled mailbox was read")
	}
	h.sim.RemoveFault(fault)
	h.wait(slow, "the new time", startsAt(to))
	if took := time.Since(begun); took < 600*time.Millisecond {
		t.Errorf("the throttled mailbox was read again after %v", took)
	}
	h.quiet()
	if s := h.session(slow); s.State != model.OutlookInSync {
		t.Errorf("throttling made the session %s", s.State)
	}
	if got := h.metric("pairsync_reconciles_total", "outcome", "dead"); got != 0 {
		t.Errorf("%v groups are dead", got)
	}
}

// What arrives while Graph is down waits, however long, and is done afterwards.
func TestGraphIsDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"503":        {Status: 503},
		"504":        {Status: 504},
		"cut":        {Cut: true},
		"answer 500": {Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{workers: paced(func(c *config) { c.MaxAttempts = 3 })})
			h.subscribe(h.ada)
			var sessions []string
			var booked []simulator.Booked
			for range 3 {
				s, b := h.meeting()
				sessions, booked = append(sessions, s), append(booked, b)
			}
			id := h.sim.AddFault(fault)
			to := make([]time.Time, len(booked))
			for i, b := range booked {
				to[i] = h.nextHour()
				h.do(h.sim.Move(b.ID, to[i], to[i].Add(time.Hour)))
			}
			testbed.Eventually(t, "more tries than a message may fail", func(ctx) bool {
				return h.metric("pairsync_reconciles_total", "outcome", "retried") >= 12
			})
			h.sim.RemoveFault(id)
			for i, s := range sessions {
				h.wait(s, "the new time", startsAt(to[i]))
			}
			h.quiet()
			for _, s := range sessions {
				h.history(s, model.KindRescheduled)
			}
			if n, err := h.broker.DeadLetterCount(t.Context()); err != nil || n != 0 {
				t.Errorf("%d dead letters, %v", n, err)
			}
		})
	}
}

// An answer that can't be read is given up after a few attempts, with its reason, and can be sent through again.
func TestUnreadableAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) { c.MaxAttempts = 3 })})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	other, otherBooked := h.meeting()
	garble := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, booked.ID) {
			h.sim.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"` + booked.ID + `"}`))
	})
	h.tamper.Store(&garble)
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	testbed.Eventually(t, "a dead letter", func(c ctx) bool {
		n, err := h.broker.DeadLetterCount(c)
		return err == nil && n > 0
	})
	if got := h.metric("pairsync_reconciles_total", "outcome", "dead"); got == 0 {
		t.Error("no group is counted as dead")
	}
	h.do(h.sim.Move(otherBooked.ID, to, to.Add(time.Hour)))
	h.wait(other, "the new time", startsAt(to))
	if h.session(session).StartsAt.Equal(to) {
		t.Fatal("an answer that can't be read was")
	}
	h.tamper.Store(nil)
	if _, err := h.broker.ReplayAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wait(session, "the new time", startsAt(to))
}

func TestLifecycleEvents(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	sub := h.subscribe(h.ada)
	h.meeting()
	due := func() model.Subscription {
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
	row := due()
	row.MailboxID, row.GraphID, row.State = h.ada.ID, sub.ID, model.SubscriptionActive
	row.GrantedAt, row.ExpiresAt, row.DueAt = time.Now(), sub.ExpiresAt, time.Now().Add(time.Hour)
	if err := h.store.SaveSubscription(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	h.do(h.sim.SendLifecycle(sub.ID, "missed"))
	testbed.Eventually(t, "the subscription to know what it missed", func(ctx) bool { return due().Lifecycle == model.LifecycleMissed })
	h.quiet()
}

func TestMailboxIsFoundByItsAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	if _, _, err := h.store.PutParticipant(t.Context(), model.Participant{Tenant: h.tenant, ID: "nobody", Email: "nobody@contoso.example"}); err != nil {
		t.Fatal(err)
	}
	stray := h.link("nobody", []string{"grace"}, "no-such-event", h.nextHour())
	session, _ := h.meeting()
	if got := h.participant("ada").MailboxID; got != h.ada.ID {
		t.Errorf("ada's mailbox is %q, want %q", got, h.ada.ID)
	}
	h.wait(stray, "to be unreachable", unreachable)
	if p := h.participant("nobody"); p.MailboxStatus != model.MailboxUnreachable || p.MailboxReason != graph.ReasonUserNotFound {
		t.Errorf("a mailbox that nobody has is %s (%s)", p.MailboxStatus, p.MailboxReason)
	}
	h.history(session)
	h.history(stray)
}
