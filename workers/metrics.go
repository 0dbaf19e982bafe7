package workers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pairsync/model"
)

// outcome is what became of one group of hints. Every group that is handled ends in exactly one.
type outcome string

// The outcomes.
const (
	outcomeChanged   outcome = "changed"
	outcomeUnchanged outcome = "unchanged"
	outcomeUnrelated outcome = "unrelated"
	outcomeStale     outcome = "stale"
	outcomeRetried   outcome = "retried"
	outcomeDead      outcome = "dead"
)

func outcomes() []outcome {
	return []outcome{
		outcomeChanged, outcomeUnchanged, outcomeUnrelated, outcomeStale, outcomeRetried, outcomeDead,
	}
}

// lagBuckets are in seconds. 30 s is an edge because the lag objective is set there.
func lagBuckets() []float64 {
	return []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600}
}

type metrics struct {
	syncLag       *prometheus.HistogramVec
	deliveryLag   prometheus.Histogram
	processingLag prometheus.Histogram
	reconciles    *prometheus.CounterVec
	changes       *prometheus.CounterVec
	verified      prometheus.Counter
	drift         prometheus.Counter
}

// newMetrics registers the room's metrics, every label value at zero, so that a rate sees the first of each.
func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		syncLag: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pairsync_sync_lag_seconds",
			Help:    "Time from Outlook's lastModifiedDateTime of a change to its commit.",
			Buckets: lagBuckets(),
		}, []string{"kind", "cause"}),
		deliveryLag: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "pairsync_delivery_lag_seconds",
			Help:    "Time from Outlook's lastModifiedDateTime to the receipt of its notification: Graph's share.",
			Buckets: lagBuckets(),
		}),
		processingLag: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "pairsync_processing_lag_seconds",
			Help:    "Time from the earliest receipt of the notifications that were folded together to the commit: our share.",
			Buckets: lagBuckets(),
		}),
		reconciles: f.NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_reconciles_total",
			Help: "Groups of hints handled, by what became of them.",
		}, []string{"outcome"}),
		changes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_changes_total",
			Help: "Changes published, each once.",
		}, []string{"kind", "source", "cause"}),
		verified: f.NewCounter(prometheus.CounterOpts{
			Name: "pairsync_sweep_verified_total",
			Help: "Sessions that the sweep compared with Outlook.",
		}),
		drift: f.NewCounter(prometheus.CounterOpts{
			Name: "pairsync_sweep_drift_total",
			Help: "Changes that only the sweep found.",
		}),
	}
	for _, o := range outcomes() {
		m.reconciles.WithLabelValues(string(o))
	}
	for _, k := range model.ChangeKinds() {
		for _, c := range model.Causes() {
			m.syncLag.WithLabelValues(string(k), string(c))
			for _, s := range model.Sources() {
				m.changes.WithLabelValues(string(k), string(s), string(c))
			}
		}
	}
	return m
}

// committed notes the lag of each change of one committed reading.
func (m *metrics) committed(out model.Outcome) {
	for _, ch := range out.Changes {
		m.syncLag.WithLabelValues(string(ch.Kind), string(ch.Cause)).Observe(lag(ch.OccurredAt, ch.AppliedAt))
	}
}

// delivered notes Graph's share: from the modification to the first hint that speaks of it. A reading that shows a version
// which no hint named tells nothing about delivery, unless it changed something.
func (m *metrics) delivered(hints []model.Hint, o model.Observation, changed bool) {
	at, named, ok := heard(hints, o)
	if ok && (named || changed) {
		m.deliveryLag.Observe(lag(o.LastModifiedAt, at))
	}
}

// processed notes our share: from the first receipt of what was folded to now.
func (m *metrics) processed(hints []model.Hint, now time.Time) {
	m.processingLag.Observe(lag(firstReceipt(hints), now))
}

// heard is when the first hint of a version came: the first that names it, or else the first that came after it was made.
// None of them did when the version was made between the hints and the reading.
func heard(hints []model.Hint, o model.Observation) (at time.Time, named, ok bool) {
	if !o.Found {
		return time.Time{}, false, false
	}
	var since time.Time
	for _, h := range hints {
		if h.ChangeKey != "" && h.ChangeKey == o.ChangeKey && (at.IsZero() || h.ReceivedAt.Before(at)) {
			at = h.ReceivedAt
		}
		if !h.ReceivedAt.Before(o.LastModifiedAt) && (since.IsZero() || h.ReceivedAt.Before(since)) {
			since = h.ReceivedAt
		}
	}
	if !at.IsZero() {
		return at, true, true
	}
	return since, false, !since.IsZero()
}

// firstReceipt is the earliest receipt among hints, of which there must be at least one.
func firstReceipt(hints []model.Hint) time.Time {
	first := hints[0].ReceivedAt
	for _, h := range hints[1:] {
		first = earlier(first, h.ReceivedAt)
	}
	return first
}

// lag is in seconds; clocks that disagree give 0, not less.
func lag(from, to time.Time) float64 { return max(to.Sub(from).Seconds(), 0) }
