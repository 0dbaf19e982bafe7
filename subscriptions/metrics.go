package subscriptions

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pairsync/internal/graph"
)

// result is what became of one try to create, renew, reauthorize or delete a subscription: a closed set.
type result string

const (
	resultCreated      result = "created"
	resultRenewed      result = "renewed"
	resultReauthorized result = "reauthorized"
	resultDeleted      result = "deleted"
	// resultAdopted: Graph had one of ours that no row knew, and it serves.
	resultAdopted result = "adopted"
	// resultStranger: Graph had one of ours that no row knew, and it was deleted.
	resultStranger result = "stranger_deleted"
	// resultGone, resultSilent, resultMoved, resultExpired and resultUnchanged: a subscription had to be replaced, or will be.
	resultGone      result = "gone"
	resultSilent    result = "silent"
	resultMoved     result = "moved"
	resultExpired   result = "expired"
	resultUnchanged result = "unchanged"
	// The failures, by kind.
	resultThrottled   result = "throttled"
	resultUnavailable result = "unavailable"
	resultMailbox     result = "mailbox"
	resultTenant      result = "tenant"
	resultHandshake   result = "handshake"
	resultLifetime    result = "lifetime"
	resultQuota       result = "quota"
	resultConflict    result = "conflict"
	resultInvalid     result = "invalid"
)

func results() []result {
	return []result{
		resultCreated, resultRenewed, resultReauthorized, resultDeleted, resultAdopted, resultStranger, resultGone, resultSilent,
		resultMoved, resultExpired, resultUnchanged, resultThrottled, resultUnavailable, resultMailbox, resultTenant, resultHandshake,
		resultLifetime, resultQuota, resultConflict, resultInvalid,
	}
}

// resultOf is the result that a failure counts as.
func resultOf(kind graph.Kind) result {
	switch kind {
	case graph.KindThrottled:
		return resultThrottled
	case graph.KindUnavailable:
		return resultUnavailable
	case graph.KindMailbox, graph.KindSignIn:
		return resultMailbox
	case graph.KindTenant:
		return resultTenant
	case graph.KindHandshake:
		return resultHandshake
	case graph.KindLifetime:
		return resultLifetime
	case graph.KindQuota:
		return resultQuota
	case graph.KindConflict:
		return resultConflict
	case graph.KindNotFound:
		return resultGone
	case graph.KindPrecondition, graph.KindGone, graph.KindInvalid:
		return resultInvalid
	}
	return resultInvalid
}

type metrics struct {
	renewals *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{renewals: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "pairsync_subscription_renewals_total",
		Help: "Tries to create, renew, reauthorize or delete a subscription, by what became of them.",
	}, []string{"result"})}
	for _, r := range results() {
		m.renewals.WithLabelValues(string(r))
	}
	return m
}

func (m *metrics) count(r result) { m.renewals.WithLabelValues(string(r)).Inc() }
