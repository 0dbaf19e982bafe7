package workers

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// callbackResult is what became of one call of a receiver, or of a change that was given up.
type callbackResult string

// The results.
const (
	callbackDelivered callbackResult = "delivered"
	callbackRetried   callbackResult = "retried"
	callbackGivenUp   callbackResult = "given_up"
)

// mailResult is what became of one try to send a letter.
type mailResult string

// The results.
const (
	mailSent    mailResult = "sent"
	mailLogged  mailResult = "logged"
	mailUnsure  mailResult = "unsure"
	mailRetried mailResult = "retried"
	mailDropped mailResult = "dropped"
)

type stewardMetrics struct {
	callbacks *prometheus.CounterVec
	mails     *prometheus.CounterVec
	// expiry is when the credential expires, in Unix nanoseconds; 0 while that is not known.
	expiry atomic.Int64
	reg    prometheus.Registerer
	shown  atomic.Bool
}

// newStewardMetrics registers the metrics, every label value at zero.
func newStewardMetrics(reg prometheus.Registerer) *stewardMetrics {
	f := promauto.With(reg)
	m := &stewardMetrics{
		reg: reg,
		callbacks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_callbacks_total",
			Help: "Changes sent to tenants' receivers, by what became of each try, and those given up.",
		}, []string{"result"}),
		mails: f.NewCounterVec(prometheus.CounterOpts{
			Name: "pairsync_mails_total",
			Help: "Letters to owners of integrations, by what became of each try.",
		}, []string{"result"}),
	}
	for _, r := range []callbackResult{callbackDelivered, callbackRetried, callbackGivenUp} {
		m.callbacks.WithLabelValues(string(r))
	}
	for _, r := range []mailResult{mailSent, mailLogged, mailUnsure, mailRetried, mailDropped} {
		m.mails.WithLabelValues(string(r))
	}
	return m
}

func (m *stewardMetrics) called(r callbackResult, n int) {
	m.callbacks.WithLabelValues(string(r)).Add(float64(n))
}

func (m *stewardMetrics) mailed(r mailResult) { m.mails.WithLabelValues(string(r)).Inc() }

// expires notes when the credential expires. The gauge is there from the first time on: where nothing is known, nothing is
// shown.
func (m *stewardMetrics) expires(at time.Time) {
	m.expiry.Store(at.UnixNano())
	if m.shown.Swap(true) {
		return
	}
	promauto.With(m.reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pairsync_credential_expiry_seconds",
		Help: "Seconds until the application's certificate expires; negative afterwards. Missing where that can't be known.",
	}, func() float64 {
		return math.Round(time.Until(time.Unix(0, m.expiry.Load())).Seconds())
	})
}
