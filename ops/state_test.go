package ops

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// sources answers with fixed figures, ten seconds old where they have an age.
func sources() StateSources {
	then := time.Now().Add(-10 * time.Second)
	return StateSources{
		Queues: func(context.Context) ([]Queue, error) {
			return []Queue{{Stream: "S", Consumer: "busy", Pending: 3, Oldest: then}, {Stream: "S", Consumer: "idle"}}, nil
		},
		DeadLetters: func(context.Context) (int, error) { return 2, nil },
		Figures: func(context.Context) (Figures, error) {
			return Figures{
				Mailboxes:     map[string]int{"ok": 4, "unreachable": 0},
				Tenants:       map[string]int{"connected": 1},
				Subscriptions: map[string]int{"active": 4, "failing": 0},
				OutboxPending: 1, OutboxOldest: then, CallbacksPending: 2, CallbacksOldest: then, EarliestExpiry: time.Now().Add(time.Hour),
			}, nil
		},
	}
}

func TestStateGauges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		if err := RegisterState(t.Context(), reg, StateConfig{}, sources()); err != nil {
			t.Fatal(err)
		}
		const want = `
# HELP pairsync_deadletters Messages that failed for good and wait for a decision.
# TYPE pairsync_deadletters gauge
pairsync_deadletters 2
# HELP pairsync_mailboxes Mailboxes of participants by status.
# TYPE pairsync_mailboxes gauge
pairsync_mailboxes{status="ok"} 4
pairsync_mailboxes{status="unreachable"} 0
# HELP pairsync_outbox_oldest_seconds Age of the oldest change that is not yet published, 0 when there is none.
# TYPE pairsync_outbox_oldest_seconds gauge
pairsync_outbox_oldest_seconds 10
# HELP pairsync_outbox_pending Committed changes that are not yet published.
# TYPE pairsync_outbox_pending gauge
pairsync_outbox_pending 1
# HELP pairsync_queue_oldest_seconds Age of the oldest pending message, 0 when nothing is pending.
# TYPE pairsync_queue_oldest_seconds gauge
pairsync_queue_oldest_seconds{consumer="busy",stream="S"} 10
pairsync_queue_oldest_seconds{consumer="idle",stream="S"} 0
# HELP pairsync_queue_pending Messages not yet delivered plus not yet acknowledged.
# TYPE pairsync_queue_pending gauge
pairsync_queue_pending{consumer="busy",stream="S"} 3
pairsync_queue_pending{consumer="idle",stream="S"} 0
# HELP pairsync_subscription_expiry_seconds Time to the earliest expiry of an active subscription; left out when none is active.
# TYPE pairsync_subscription_expiry_seconds gauge
pairsync_subscription_expiry_seconds 3600
# HELP pairsync_subscriptions Subscriptions by state.
# TYPE pairsync_subscriptions gauge
pairsync_subscriptions{state="active"} 4
pairsync_subscriptions{state="failing"} 0
# HELP pairsync_tenants Organisations by status.
# TYPE pairsync_tenants gauge
pairsync_tenants{status="connected"} 1
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "pairsync_deadletters", "pairsync_mailboxes",
			"pairsync_outbox_oldest_seconds", "pairsync_outbox_pending", "pairsync_queue_oldest_seconds", "pairsync_queue_pending",
			"pairsync_subscription_expiry_seconds", "pairsync_subscriptions", "pairsync_tenants"); err != nil {
			t.Error(err)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
	})
}

func TestAgesGrowWhileAnAnswerIsCached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		src := sources()
		figures := src.Figures
		src.Figures = func(ctx context.Context) (Figures, error) { asked.Add(1); return figures(ctx) }
		reg := prometheus.NewPedanticRegistry()
		if err := RegisterState(t.Context(), reg, StateConfig{MaxAge: time.Minute}, src); err != nil {
			t.Fatal(err)
		}
		gather(t, reg)
		wait(t.Context(), 30*time.Second)
		if got := gather(t, reg)["pairsync_outbox_oldest_seconds"]; got != 40 {
			t.Errorf("30 s later the oldest change is %v s old, want 40", got)
		}
		if asked.Load() != 1 {
			t.Errorf("the source was asked %d times in a minute", asked.Load())
		}
		wait(t.Context(), 31*time.Second)
		gather(t, reg)
		if asked.Load() != 2 {
			t.Errorf("the source was asked %d times, want a second time after a minute", asked.Load())
		}
	})
}

func TestAFailingSourceCostsOnlyItsOwnGauges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := sources()
		src.Figures = func(context.Context) (Figures, error) { return Figures{}, errors.New("database is down") }
		hang := make(chan struct{})
		src.DeadLetters = func(context.Context) (int, error) { <-hang; return 0, nil } // Forgets its context.
		reg := prometheus.NewPedanticRegistry()
		if err := RegisterState(t.Context(), reg, StateConfig{Timeout: 2 * time.Second}, src); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		got := gather(t, reg)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the scrape took %s, want the time-out", took)
		}
		for _, name := range []string{"pairsync_outbox_pending", "pairsync_mailboxes", "pairsync_deadletters"} {
			if _, ok := got[name]; ok {
				t.Errorf("%s is shown though its source failed", name)
			}
		}
		if _, ok := got["pairsync_queue_pending"]; !ok {
			t.Error("the queues are missing, though their source works")
		}
		// The counter is gathered beside the collector, so the failures of one scrape show at the next at the latest.
		if n := gather(t, reg)["pairsync_state_failures_total"]; n == 0 {
			t.Error("the failures were not counted")
		}
		close(hang)
	})
}

func TestSourcesOfOtherRolesAreLeftOut(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	src := StateSources{Queues: sources().Queues}
	if err := RegisterState(t.Context(), reg, StateConfig{}, src); err != nil {
		t.Fatal(err)
	}
	got := gather(t, reg)
	if len(got) != 3 { // The two gauges of queues and the counter of failures.
		t.Errorf("got %v", got)
	}
}

// gather returns the sum of each metric.
func gather(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sums[family.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sums
}

// wait lets the time of a synctest bubble pass.
func wait(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
