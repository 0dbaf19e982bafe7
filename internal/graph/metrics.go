package graph

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics counts and times the calls to Graph. Retried calls count each time they are sent.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	throttled *prometheus.CounterVec
}

// knownCodes are the values of the code label beside noAnswer and otherCode: whatever else a server may answer must not
// make new series.
func knownCodes() []int {
	return []int{
		http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusBadRequest,
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone,
		http.StatusPreconditionFailed, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
}

const (
	noAnswer  = "none"
	otherCode = "other"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_graph_requests_total",
			Help: "Calls to Microsoft Graph and Entra by operation and HTTP status; none means that no answer came.",
		}, []string{"operation", "code"}),
		seconds: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pairsync_graph_request_seconds",
			Help:    "How long calls to Microsoft Graph and Entra took, without waiting for a turn.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30},
		}, []string{"operation", "code"}),
		throttled: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_graph_throttled_total",
			Help: "Calls that Microsoft Graph or Entra refused because there were too many.",
		}, []string{"operation"}),
	}
	for _, op := range operations() {
		for _, code := range knownCodes() {
			m.requests.WithLabelValues(string(op), strconv.Itoa(code))
		}
		m.requests.WithLabelValues(string(op), noAnswer)
		m.requests.WithLabelValues(string(op), otherCode)
		m.throttled.WithLabelValues(string(op))
	}
	return m
}

// codeLabel maps any status to the closed set; 0 is no answer.
func codeLabel(status int) string {
	switch status {
	case 0:
		return noAnswer
	case http.StatusOK: // By far the most frequent, and Itoa of three digits allocates.
		return "200"
	}
	for _, code := range knownCodes() {
		if status == code {
			return strconv.Itoa(code)
		}
	}
	return otherCode
}

// answered counts one call that was sent; took 0 leaves the histogram alone, for items of a batch.
func (m *metrics) answered(op operation, status int, took time.Duration) {
	code := codeLabel(status)
	m.requests.WithLabelValues(string(op), code).Inc()
	if took > 0 {
		m.seconds.WithLabelValues(string(op), code).Observe(took.Seconds())
	}
}

func (m *metrics) refused(op operation, kind Kind) {
	if kind == KindThrottled {
		m.throttled.WithLabelValues(string(op)).Inc()
	}
}
