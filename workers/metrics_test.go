package workers

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pairsync/model"
)

func TestMetricsAreWellNamedAndThereFromTheStart(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	newMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	kinds, causes, sources := len(model.ChangeKinds()), len(model.Causes()), len(model.Sources())
	for name, want := range map[string]int{
		"pairsync_sync_lag_seconds": kinds * causes, "pairsync_delivery_lag_seconds": 1, "pairsync_processing_lag_seconds": 1,
		"pairsync_reconciles_total": 6, "pairsync_changes_total": kinds * causes * sources,
		"pairsync_sweep_verified_total": 1, "pairsync_sweep_drift_total": 1,
	} {
		if got, err := testutil.GatherAndCount(reg, name); err != nil || got != want {
			t.Errorf("%s: %d series, %v; want %d", name, got, err, want)
		}
	}
}

func TestWhenAVersionWasHeardOf(t *testing.T) {
	t.Parallel()
	hint := func(second int, key string) model.Hint {
		return model.Hint{ChangeKey: key, ReceivedAt: at(9, 0).Add(time.Duration(second) * time.Second)}
	}
	second := func(n int) time.Time { return at(9, 0).Add(time.Duration(n) * time.Second) }
	made := model.Observation{Found: true, ChangeKey: "k2", LastModifiedAt: second(5), ReadAt: second(9)}
	tests := map[string]struct {
		hints    []model.Hint
		o        model.Observation
		received time.Time
		lag      float64
		counted  int
	}{
		"named by the second of three":       {[]model.Hint{hint(1, "k1"), hint(6, "k2"), hint(7, "k2")}, made, second(6), 1, 1},
		"named by a clock that is behind":    {[]model.Hint{hint(4, "k2")}, made, second(4), 0, 1},
		"named by none, but heard since":     {[]model.Hint{hint(1, "k1"), hint(7, "k3")}, made, second(7), 2, 1},
		"read before its hint came":          {[]model.Hint{hint(1, "k1")}, made, second(9), 0, 0},
		"gone: nobody knows since when":      {[]model.Hint{hint(3, ""), hint(1, "")}, notFound(second(9)), second(1), 0, 0},
		"without a version, and heard since": {[]model.Hint{hint(8, "")}, made, second(8), 3, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := receivedAt(tt.hints, tt.o); !got.Equal(tt.received) {
				t.Errorf("received at %v, want %v", got, tt.received)
			}
			reg := prometheus.NewRegistry()
			newMetrics(reg).delivered(tt.hints, tt.o, true)
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() != "pairsync_delivery_lag_seconds" {
					continue
				}
				h := f.GetMetric()[0].GetHistogram()
				if int(h.GetSampleCount()) != tt.counted || h.GetSampleSum() != tt.lag {
					t.Errorf("%d lags of %v s in sum, want %d of %v", h.GetSampleCount(), h.GetSampleSum(), tt.counted, tt.lag)
				}
			}
		})
	}
}

// A reading whose version was stored before is no delivery: the hint spoke of something else.
func TestNoDeliveryLagForOldNews(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	o := model.Observation{Found: true, ChangeKey: "k1", LastModifiedAt: at(8, 0)}
	m.delivered([]model.Hint{{ChangeKey: "k9", ReceivedAt: at(9, 0)}}, o, false)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "pairsync_delivery_lag_seconds" && f.GetMetric()[0].GetHistogram().GetSampleCount() != 0 {
			t.Error("a lag was counted")
		}
	}
}
