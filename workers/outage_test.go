package workers_test

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// between puts a proxy between the test and a database, and gives the URL through it.
func between(t *testing.T, databaseURL string) (proxied string, p *toxiproxy.Proxy) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	p = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "postgres", "127.0.0.1:0", u.Host)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	u.Host = p.Listen
	return u.String(), p
}

// What arrives while PostgreSQL is down waits in the queue, and is done when it is back.
func TestDatabaseIsDown(t *testing.T) {
	t.Parallel()
	direct := testbed.DatabaseURL(t)
	proxied, proxy := between(t, direct)
	h := newHouse(t, plan{databaseURL: proxied, workers: paced(func(c *config) { c.MaxAttempts = 3 })})
	h.subscribe(h.ada)
	var sessions []string
	var booked []simulator.Booked
	for range 3 {
		s, b := h.meeting()
		sessions, booked = append(sessions, s), append(booked, b)
	}
	proxy.Stop()
	to := make([]time.Time, len(booked))
	for i, b := range booked {
		to[i] = h.nextHour()
		h.do(h.sim.Move(b.ID, to[i], to[i].Add(time.Hour)))
	}
	testbed.Eventually(t, "more tries than a message may fail", func(ctx) bool {
		return h.metric("pairsync_reconciles_total", "outcome", "retried") >= 12
	})
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
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
	testbed.Eventually(t, "everything to be published", func(ctx) bool { return len(h.published()) == 6 })
}

// Connections that break in the middle of everything lose nothing and double nothing.
func TestDatabaseConnectionsBreak(t *testing.T) {
	t.Parallel()
	proxied, proxy := between(t, testbed.DatabaseURL(t))
	h := newHouse(t, plan{databaseURL: proxied})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	var last time.Time
	for range 5 {
		last = h.nextHour()
		h.do(h.sim.Move(booked.ID, last, last.Add(time.Hour)))
		proxy.Stop()
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
	}
	h.wait(session, "the last time", startsAt(last))
	h.quiet()
	h.versions(session)
}

// versions fails the test unless a session's history is gapless, and published once and in order.
func (h *house) versions(session string) {
	h.t.Helper()
	changes := h.changes(session)
	for i, ch := range changes {
		if ch.Version != int64(i+1) {
			h.t.Fatalf("change %d of %s has version %d", i+1, session, ch.Version)
		}
	}
	var got []string
	testbed.Eventually(h.t, "everything to be published", func(ctx) bool {
		got = nil
		for _, e := range h.published() {
			if e.Data.Session == session {
				got = append(got, e.ID)
			}
		}
		return len(got) >= len(changes)
	})
	var want []string
	for _, ch := range changes {
		want = append(want, ch.ID)
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("published %v\nwant      %v", got, want)
	}
}

// NATS that goes away in the middle loses no change and reorders none.
func TestRelayAndABrokerThatGoesAway(t *testing.T) {
	t.Parallel()
	server := testbed.NATSServer(t)
	nc := server.Connect()
	h := newHouse(t, plan{nc: nc, workers: paced(func(c *config) { c.SweepInterval = 100 * time.Millisecond })})
	var sessions []string
	var booked []simulator.Booked
	for range 8 {
		s, b := h.meeting()
		sessions, booked = append(sessions, s), append(booked, b)
	}
	round := func() {
		for i, b := range booked {
			to := h.nextHour()
			h.do(h.sim.Move(b.ID, to, to.Add(time.Hour)))
			h.wait(sessions[i], "the new time", startsAt(to))
		}
	}
	round()
	for range 2 {
		server.Stop()
		round() // Without NATS the sweep goes on; what it finds waits in the outbox.
		server.Start()
		round()
	}
	testbed.Eventually(t, "the connection to be back", func(context.Context) bool { return nc.IsConnected() })
	testbed.Eventually(t, "the outbox to be empty", func(c ctx) bool {
		f, err := h.store.Figures(c)
		return err == nil && f.OutboxPending == 0
	})
	for _, s := range sessions {
		h.versions(s)
	}
	counted := h.metric("pairsync_changes_total")
	if want := float64(len(h.published())); counted != want {
		t.Errorf("%v changes are counted, %v published", counted, want)
	}
}

// Two processes share the work; one of them ends in the middle.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{idle: true, workers: paced(func(c *config) { c.SweepInterval = time.Second })})
	h.subscribe(h.ada)
	stop := h.run()
	session, booked := h.meeting()
	h.registry = prometheus.NewRegistry() // Of the second process.
	h.run()
	var last time.Time
	for i := range 6 {
		last = h.nextHour()
		h.do(h.sim.Move(booked.ID, last, last.Add(time.Hour)))
		if i == 2 {
			stop()
		}
	}
	h.wait(session, "the last time", startsAt(last))
	h.quiet()
	h.versions(session)
	for _, k := range h.kinds(session) {
		if k != model.KindRescheduled {
			t.Errorf("history: %v", h.kinds(session))
			break
		}
	}
}
