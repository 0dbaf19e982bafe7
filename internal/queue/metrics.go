package queue

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// consumerMetrics are a consumer's own figures; how much waits is told by Depths.
type consumerMetrics struct {
	settled *prometheus.CounterVec
	group   prometheus.Histogram
}

func newConsumerMetrics(reg prometheus.Registerer, stream, consumer string) *consumerMetrics {
	labels := prometheus.Labels{"stream": stream, "consumer": consumer}
	m := &consumerMetrics{
		settled: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name:        "pairsync_queue_settled_total",
			Help:        "Messages taken from a queue, by what became of them: done, later as told, failed and tried again, dead, returned at the end.",
			ConstLabels: labels,
		}, []string{"verdict"}),
		group: promauto.With(reg).NewHistogram(prometheus.HistogramOpts{
			Name:        "pairsync_queue_group_messages",
			Help:        "Messages that were handled together because they were about the same thing.",
			ConstLabels: labels,
			Buckets:     []float64{1, 2, 3, 5, 10, 20, 50, 100, 500},
		}),
	}
	for _, v := range verdicts() {
		m.settled.WithLabelValues(v.String())
	}
	return m
}
