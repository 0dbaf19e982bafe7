package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Why a stream was ended by us; the label values of pairsync_api_streams_dropped_total.
const (
	droppedSlow     = "slow"
	droppedDatabase = "database"
	droppedFull     = "full"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
	dropped  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, routes []string) *metrics {
	factory := promauto.With(reg)
	m := &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_api_requests_total",
			Help: "Requests to the platform API by route and status code.",
		}, []string{"route", "code"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pairsync_api_request_seconds",
			Help:    "Time from a platform API request's headers to the end of its answer, streams excepted.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15},
		}, []string{"route"}),
		streams: factory.NewGauge(prometheus.GaugeOpts{
			Name: "pairsync_api_streams",
			Help: "Open streams of changes.",
		}),
		dropped: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_api_streams_dropped_total",
			Help: "Streams that were refused or ended by pairsync, by reason.",
		}, []string{"reason"}),
	}
	// Alerts on a rate need the series before the first failure.
	for _, route := range routes {
		for _, code := range []int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable} {
			m.requests.WithLabelValues(route, strconv.Itoa(code))
		}
	}
	for _, reason := range []string{droppedSlow, droppedDatabase, droppedFull} {
		m.dropped.WithLabelValues(reason)
	}
	return m
}

// observe counts a request under the pattern that the mux matched, of which there are only so many.
func (m *metrics) observe(pattern string, status int, took time.Duration) {
	route := pattern
	if _, path, hasMethod := strings.Cut(pattern, " "); !hasMethod || path == "/" {
		route = "other"
	}
	if status == 0 {
		// net/http answers 200 for a handler that wrote nothing.
		status = http.StatusOK
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if !strings.HasSuffix(pattern, "/stream") {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}
