package webhook

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pairsync/model"
)

// result is how a received item ended. Each ends in exactly one.
type result uint8

const (
	resultAccepted result = iota
	resultDuplicate
	resultBadClientState
	resultMalformed
	resultUnavailable
	results // how many there are
)

// String is the label's value.
func (r result) String() string {
	switch r {
	case resultAccepted:
		return "accepted"
	case resultDuplicate:
		return "duplicate"
	case resultBadClientState:
		return "bad_client_state"
	case resultMalformed:
		return "malformed"
	case resultUnavailable:
		return "unavailable"
	case results:
	}
	return ""
}

// lifecycleOther labels lifecycle events that this version doesn't know.
const lifecycleOther = "other"

// metrics holds the room's collectors. Those with a closed set of label values are kept by value, which spares a look-up for
// each item.
type metrics struct {
	notifications [results]prometheus.Counter
	lifecycle     map[model.LifecycleEvent]prometheus.Counter
	otherEvent    prometheus.Counter
	requests      map[int]prometheus.Observer
}

// codes are all the statuses that the door answers with.
func codes() []int { return []int{200, 202, 400, 404, 405, 408, 413, 415, 500, 503} }

func newMetrics(reg prometheus.Registerer, w *watch) *metrics {
	with := promauto.With(reg)
	notifications := with.NewCounterVec(prometheus.CounterOpts{
		Name: "pairsync_notifications_total",
		Help: "Received notification items by how they ended; each ends in exactly one result.",
	}, []string{"result"})
	lifecycle := with.NewCounterVec(prometheus.CounterOpts{
		Name: "pairsync_lifecycle_notifications_total",
		Help: "Accepted lifecycle notifications by event.",
	}, []string{"event"})
	requests := with.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pairsync_webhook_request_seconds",
		Help:    "Time to answer requests of the public door by status code. Graph judges by the edges 3 and 10.",
		Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30},
	}, []string{"code"})

	m := &metrics{
		lifecycle:  make(map[model.LifecycleEvent]prometheus.Counter),
		otherEvent: lifecycle.WithLabelValues(lifecycleOther),
		requests:   make(map[int]prometheus.Observer),
	}
	for r := range results {
		m.notifications[r] = notifications.WithLabelValues(r.String())
	}
	for _, e := range []model.LifecycleEvent{
		model.LifecycleReauthorizationRequired, model.LifecycleSubscriptionRemoved, model.LifecycleMissed,
	} {
		m.lifecycle[e] = lifecycle.WithLabelValues(string(e))
	}
	for _, code := range codes() {
		m.requests[code] = requests.WithLabelValues(strconv.Itoa(code))
	}
	for _, g := range []struct {
		name, help string
		over       time.Duration
	}{
		{
			"pairsync_webhook_slow_ratio",
			"Share of POSTs of ours answered after more than 3 s, over the last 10 minutes. " +
				"Above 0.10 Graph holds every notification back for 10 minutes.", slowAnswer,
		},
		{
			"pairsync_webhook_overdue_ratio",
			"Share of POSTs of ours answered after more than 10 s, over the last 10 minutes. " +
				"Above 0.15 Graph drops every notification for 10 minutes.", overdueAnswer,
		},
	} {
		with.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return w.share(g.over) })
	}
	return m
}

func (m *metrics) count(r result, n int) {
	if n > 0 {
		m.notifications[r].Add(float64(n))
	}
}

func (m *metrics) countLifecycle(e model.LifecycleEvent) {
	if c, ok := m.lifecycle[e]; ok {
		c.Inc()
		return
	}
	m.otherEvent.Inc()
}
