package workers

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pairsync/model"
)

// applyOutcome is what became of one turn of a request. Every turn ends in exactly one.
type applyOutcome string

// The outcomes: Outlook has it; it had it already, or the request lost to something newer; it comes again; it never will.
const (
	applyDone     applyOutcome = "applied"
	applyNeedless applyOutcome = "needless"
	applyRetried  applyOutcome = "retried"
	applyFailed   applyOutcome = "failed"
)

func applyOutcomes() []applyOutcome {
	return []applyOutcome{applyDone, applyNeedless, applyRetried, applyFailed}
}

// applyMetrics counts what is written into Outlook.
type applyMetrics struct {
	applies *prometheus.CounterVec
	room    *metrics
}

func newApplyMetrics(reg prometheus.Registerer, room *metrics) *applyMetrics {
	m := &applyMetrics{
		applies: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_applies_total",
			Help: "Turns of the platform's requests, by what was wanted and what became of it.",
		}, []string{"operation", "outcome"}),
		room: room,
	}
	for _, kind := range []model.RequestKind{model.RequestBook, model.RequestChange, model.RequestCancel} {
		for _, o := range applyOutcomes() {
			m.applies.WithLabelValues(string(kind), string(o))
		}
	}
	return m
}

func (m *applyMetrics) applied(kind model.RequestKind, o applyOutcome) {
	m.applies.WithLabelValues(string(kind), string(o)).Inc()
}

// lag notes the lag of a change that was made in Outlook and found because we were about to write.
func (m *applyMetrics) lag(ch model.Change) {
	m.room.syncLag.WithLabelValues(string(ch.Kind), string(ch.Cause)).Observe(lag(ch.OccurredAt, ch.AppliedAt))
}
