package ops

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Queue is how a consumer of a stream stands.
type Queue struct {
	Stream   string
	Consumer string
	// Pending is what is not yet delivered plus what is not yet acknowledged.
	Pending int
	// Oldest is when the oldest of it was stored; zero when nothing is pending.
	Oldest time.Time
}

// Figures is what the database says about the state of things. The maps hold every value that a label can have, at zero
// where there is none.
type Figures struct {
	Mailboxes     map[string]int
	Tenants       map[string]int
	Subscriptions map[string]int
	// EarliestExpiry is zero when no subscription is active.
	EarliestExpiry time.Time
	OutboxPending  int
	// OutboxOldest is zero when nothing is pending.
	OutboxOldest time.Time
	// CallbacksPending waits to be received by tenants' own receivers; CallbacksOldest is zero when nothing does.
	CallbacksPending int
	CallbacksOldest  time.Time
}

// StateSources are asked when somebody scrapes. A nil source belongs to a role that does not run here.
type StateSources struct {
	Queues      func(context.Context) ([]Queue, error)
	DeadLetters func(context.Context) (int, error)
	Figures     func(context.Context) (Figures, error)
}

// StateConfig says how the sources are asked.
type StateConfig struct {
	// MaxAge is how long an answer serves further scrapes; zero means 1 s.
	MaxAge time.Duration
	// Timeout is how long one source may take; zero means 3 s.
	Timeout time.Duration
}

// RegisterState registers gauges that are read from the sources at each scrape. A source that fails leaves its gauges out
// of that scrape and is counted in pairsync_state_failures_total. No source is asked once ctx has ended.
func RegisterState(ctx context.Context, reg prometheus.Registerer, cfg StateConfig, src StateSources) error {
	maxAge, timeout := cmp.Or(cfg.MaxAge, time.Second), cmp.Or(cfg.Timeout, 3*time.Second)
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pairsync_state_failures_total",
		Help: "Scrapes that had to leave out the gauges of a source, because it failed or took too long.",
	}, []string{"source"})

	c := &state{gauges: newStateGauges()}
	if src.Queues != nil {
		c.queues = newCached(ctx, src.Queues, maxAge, timeout, failures.WithLabelValues("queues"))
	}
	if src.DeadLetters != nil {
		c.deadLetters = newCached(ctx, src.DeadLetters, maxAge, timeout, failures.WithLabelValues("deadletters"))
	}
	if src.Figures != nil {
		c.figures = newCached(ctx, src.Figures, maxAge, timeout, failures.WithLabelValues("database"))
	}
	if err := reg.Register(failures); err != nil {
		return err
	}
	return reg.Register(c)
}

// stateGauges describes every gauge that is read at the scrape.
type stateGauges struct {
	queuePending, queueOldest   *prometheus.Desc
	deadLetters                 *prometheus.Desc
	outboxPending, outboxOldest *prometheus.Desc
	callbacks, callbacksOldest  *prometheus.Desc
	subscriptions, expiry       *prometheus.Desc
	mailboxes, tenants          *prometheus.Desc
}

func newStateGauges() stateGauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pairsync_"+name, help, labels, nil)
	}
	return stateGauges{
		queuePending:    desc("queue_pending", "Messages not yet delivered plus not yet acknowledged.", "stream", "consumer"),
		queueOldest:     desc("queue_oldest_seconds", "Age of the oldest pending message, 0 when nothing is pending.", "stream", "consumer"),
		deadLetters:     desc("deadletters", "Messages that failed for good and wait for a decision."),
		outboxPending:   desc("outbox_pending", "Committed changes that are not yet published."),
		outboxOldest:    desc("outbox_oldest_seconds", "Age of the oldest change that is not yet published, 0 when there is none."),
		callbacks:       desc("callbacks_pending", "Committed changes that their tenants' receivers have not taken yet."),
		callbacksOldest: desc("callbacks_oldest_seconds", "Age of the oldest change that its tenant's receiver has not taken yet, 0 when there is none."),
		subscriptions:   desc("subscriptions", "Subscriptions by state.", "state"),
		expiry:          desc("subscription_expiry_seconds", "Time to the earliest expiry of an active subscription; left out when none is active."),
		mailboxes:       desc("mailboxes", "Mailboxes of participants by status.", "status"),
		tenants:         desc("tenants", "Organisations by status.", "status"),
	}
}

// state is the collector.
type state struct {
	gauges      stateGauges
	queues      *cached[[]Queue]
	deadLetters *cached[int]
	figures     *cached[Figures]
}

// Describe tells the registry what Collect may send.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	g := s.gauges
	if s.queues != nil {
		ch <- g.queuePending
		ch <- g.queueOldest
	}
	if s.deadLetters != nil {
		ch <- g.deadLetters
	}
	if s.figures != nil {
		for _, d := range []*prometheus.Desc{
			g.outboxPending, g.outboxOldest, g.callbacks, g.callbacksOldest, g.subscriptions, g.expiry, g.mailboxes, g.tenants,
		} {
			ch <- d
		}
	}
}

// Collect asks all sources at once, so that a slow one does not take the others' time.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	var all sync.WaitGroup
	all.Go(func() {
		if queues, ok := s.queues.get(); ok {
			for _, q := range queues {
				gauge(ch, s.gauges.queuePending, float64(q.Pending), q.Stream, q.Consumer)
				gauge(ch, s.gauges.queueOldest, age(q.Oldest), q.Stream, q.Consumer)
			}
		}
	})
	all.Go(func() {
		if n, ok := s.deadLetters.get(); ok {
			gauge(ch, s.gauges.deadLetters, float64(n))
		}
	})
	all.Go(func() {
		if f, ok := s.figures.get(); ok {
			s.collectFigures(ch, f)
		}
	})
	all.Wait()
}

func (s *state) collectFigures(ch chan<- prometheus.Metric, f Figures) {
	gauge(ch, s.gauges.outboxPending, float64(f.OutboxPending))
	gauge(ch, s.gauges.outboxOldest, age(f.OutboxOldest))
	gauge(ch, s.gauges.callbacks, float64(f.CallbacksPending))
	gauge(ch, s.gauges.callbacksOldest, age(f.CallbacksOldest))
	if !f.EarliestExpiry.IsZero() {
		gauge(ch, s.gauges.expiry, time.Until(f.EarliestExpiry).Seconds())
	}
	for desc, values := range map[*prometheus.Desc]map[string]int{
		s.gauges.subscriptions: f.Subscriptions, s.gauges.mailboxes: f.Mailboxes, s.gauges.tenants: f.Tenants,
	} {
		for _, label := range slices.Sorted(maps.Keys(values)) {
			gauge(ch, desc, float64(values[label]), label)
		}
	}
}

func gauge(ch chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// age returns the seconds since then, never less than 0, and 0 for the zero time.
func age(then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(0, time.Since(then).Seconds())
}
