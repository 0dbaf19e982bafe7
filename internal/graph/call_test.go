package graph

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		accepted  string
		wantKind  Kind
		wantCalls int
	}{
		{"the second is good", "Bearer token-2", "", 2},
		{"neither is", "Bearer never", KindMailbox, 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != tc.accepted {
					answer(http.StatusUnauthorized, `{"error":{"code":"InvalidAuthenticationToken","innerError":{"request-id":"r"}}}`)(w, r)
					return
				}
				answer(http.StatusOK, plainEvent)(w, r)
			})
			_, err := s.client(t).Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
			if KindOf(err) != tc.wantKind || len(s.seen()) != tc.wantCalls || s.issued.Load() != 2 {
				t.Errorf("%v after %d calls with %d tokens", err, len(s.seen()), s.issued.Load())
			}
		})
	}
}

func TestTokenIsSharedByCalls(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, plainEvent))
	c := s.client(t)
	for range 5 {
		if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.issued.Load(); n != 1 {
		t.Errorf("%d tokens for one tenant", n)
	}
	if _, err := c.Event(t.Context(), Mailbox{Tenant: strings.Replace(tenantA, "1", "2", 1), User: mailboxA}, "1"); err != nil {
		t.Fatal(err)
	}
	if n := s.issued.Load(); n != 2 {
		t.Errorf("%d tokens for two tenants", n)
	}
}

func TestMailboxToldToWaitIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, mailboxA) {
				answer(status, `{"error":{"code":"x"}}`, "Retry-After", "30.5")(w, r)
				return
			}
			answer(http.StatusOK, plainEvent)(w, r)
		})
		c := s.client(t)
		mb := Mailbox{Tenant: tenantA, User: mailboxA}
		_, err := c.Event(t.Context(), mb, "1")
		told, ok := errors.AsType[*Error](err)
		if !ok || told.RetryAfter != 30500*time.Millisecond || told.Status != status {
			t.Fatalf("got %v", err)
		}
		_, err = c.Event(t.Context(), Mailbox{Tenant: tenantA, User: strings.ToUpper(mailboxA)}, "2")
		told, ok = errors.AsType[*Error](err)
		if !ok || told.Kind != KindThrottled || told.RetryAfter <= 29*time.Second || told.RetryAfter > 30500*time.Millisecond {
			t.Fatalf("got %v", err)
		}
		if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxB}, "1"); err != nil {
			t.Errorf("another mailbox had to wait too: %v", err)
		}
		if n := len(s.seen()); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	}
}

func TestUnanswered(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	t.Run("too slow", func(t *testing.T) {
		t.Parallel()
		s := newStandIn(t, hang)
		c := s.client(t, func(cfg *Config) { cfg.Timeout = 50 * time.Millisecond })
		_, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindUnavailable || e.Reason != ReasonTimeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the caller gave up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) { cancel(); hang(w, r) })
		_, err := s.client(t).Event(ctx, Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonCancelled || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		t.Parallel()
		s := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
		})
		_, err := s.client(t).Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindUnavailable || e.Reason != ReasonNetwork {
			t.Errorf("got %v", err)
		}
		if strings.Contains(err.Error(), mailboxA) {
			t.Errorf("%v names the mailbox", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s := newStandIn(t, nil)
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		c := s.client(t, func(cfg *Config) { cfg.URL = gone.URL })
		_, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindUnavailable || e.Reason != ReasonNetwork {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		t.Parallel()
		_, err := newStandIn(t, answer(http.StatusOK, `<html>`)).client(t).Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindInvalid || e.Reason != ReasonUnreadableAnswer {
			t.Errorf("got %v", err)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	var now, most, nowA, mostA atomic.Int64
	rise := func(n, high *atomic.Int64) {
		v := n.Add(1)
		for {
			h := high.Load()
			if v <= h || high.CompareAndSwap(h, v) {
				return
			}
		}
	}
	gate := make(chan struct{})
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		rise(&now, &most)
		defer now.Add(-1)
		if strings.Contains(r.URL.Path, mailboxA) {
			rise(&nowA, &mostA)
			defer nowA.Add(-1)
		}
		<-gate
		answer(http.StatusOK, plainEvent)(w, r)
	})
	c := s.client(t, func(cfg *Config) { cfg.Concurrency, cfg.MailboxConcurrency = 5, 2 })
	const each = 10
	done := make(chan error, 2*each)
	for i := range 2 * each {
		user := mailboxA
		if i >= each {
			user = mailboxB + string(rune('a'+i)) // A mailbox of its own.
		}
		go func() {
			_, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: user}, "1")
			done <- err
		}()
	}
	waitFor(t, "the cap", func() bool { return now.Load() == 5 })
	close(gate)
	for range 2 * each {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 5 || mostA.Load() > 2 {
		t.Errorf("%d at once, %d for one mailbox", most.Load(), mostA.Load())
	}
	if n := len(c.gate.lanes); n != 0 {
		t.Errorf("%d lanes are kept", n)
	}
}

// waitFor looks again and again until cond holds, for at most ten seconds.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestWaitingForATurnEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		answer(http.StatusOK, plainEvent)(w, r)
	})
	c := s.client(t, func(cfg *Config) { cfg.Concurrency, cfg.MailboxConcurrency = 1, 1 })
	first := make(chan error, 1)
	go func() {
		_, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		first <- err
	}()
	waitFor(t, "the first call", func() bool { return len(s.seen()) == 1 })
	for _, user := range []string{mailboxA, mailboxB} { // One waits for the mailbox, one for the process.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := c.Event(ctx, Mailbox{Tenant: tenantA, User: user}, "1")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || KindOf(err) != KindUnavailable {
			t.Errorf("got %v", err)
		}
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if len(c.gate.lanes) != 0 {
		t.Errorf("%d lanes are kept", len(c.gate.lanes))
	}
}

func TestGateForgetsPastWaits(t *testing.T) {
	t.Parallel()
	g := newGate(4, 2)
	for i := range 10 * smallestSweep {
		g.pause(lane{tenant: tenantA, mailbox: string(rune(i))}, time.Nanosecond)
	}
	if n := len(g.lanes); n > smallestSweep {
		t.Errorf("%d lanes are kept", n)
	}
	g.pause(lane{mailbox: "x"}, time.Hour)
	g.pause(lane{mailbox: "x"}, time.Second)
	if left := time.Until(g.lanes[lane{mailbox: "x"}].until); left < 59*time.Minute {
		t.Errorf("a shorter wait cut a longer one to %s", left)
	}
	if _, err := g.enter(t.Context(), opEvent, lane{mailbox: "x"}); KindOf(err) != KindThrottled {
		t.Errorf("got %v", err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	if n := testutil.CollectAndCount(m.requests); n != len(operations())*(len(knownCodes())+2) {
		t.Errorf("%d counters exist from the start", n)
	}
	m.answered(opEvent, 200, time.Second)
	m.answered(opEvent, 418, 0)
	m.answered(opEvent, 0, time.Second)
	m.refused(opEvent, KindThrottled)
	m.refused(opEvent, KindMailbox)
	for code, want := range map[string]float64{"200": 1, otherCode: 1, noAnswer: 1, "404": 0} {
		if got := testutil.ToFloat64(m.requests.WithLabelValues(string(opEvent), code)); got != want {
			t.Errorf("code %s: %v, want %v", code, got, want)
		}
	}
	if got := testutil.ToFloat64(m.throttled.WithLabelValues(string(opEvent))); got != 1 {
		t.Errorf("throttled %v", got)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
