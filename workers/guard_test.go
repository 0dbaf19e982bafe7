package workers

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pairsync/internal/queue"
	"pairsync/model"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	err := guard(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), func() { panic("a bug") })
	if !errors.Is(err, errPanicked) || !strings.Contains(log.String(), "a bug") || !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("got %v, logged %s", err, log.String())
	}
	if err := guard(t.Context(), slog.New(slog.DiscardHandler), func() {}); err != nil {
		t.Errorf("got %v without a panic", err)
	}
}

// A group that panics ends in one outcome like any other, and as a dead letter when its attempts are used up.
func TestPanicIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	r := &reconciler{
		cfg: Config{}.withDefaults(), metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler),
		// Without a ledger the first look-up panics.
	}
	g := queue.Group{Hints: []model.Hint{{Tenant: "t", Mailbox: "m", EventID: "e"}}}
	if err := r.handle(t.Context(), g); !errors.Is(err, errPanicked) {
		t.Errorf("got %v", err)
	}
	g.Failures = r.cfg.MaxAttempts - 1
	if err := r.handle(t.Context(), g); !errors.Is(err, errPanicked) {
		t.Errorf("got %v", err)
	}
	for outcome, want := range map[outcome]float64{outcomeRetried: 1, outcomeDead: 1, outcomeChanged: 0} {
		if got := testutil.ToFloat64(r.metrics.reconciles.WithLabelValues(string(outcome))); got != want {
			t.Errorf("%s: %v, want %v", outcome, got, want)
		}
	}
}
