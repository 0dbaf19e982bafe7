package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/internal/queue"
	"pairsync/model"
)

// Config says how the workers pace themselves. The zero value of each field has the meaning stated with it.
type Config struct {
	// SweepInterval is the longest time between two verifications of an upcoming session; 0 means 6 h. Each session's own
	// is up to a tenth shorter, at random.
	SweepInterval time.Duration
	// Concurrency is how many groups of hints are handled at once; 0 means 512. Most of them wait, for Graph or for each
	// other's commit.
	Concurrency int
	// TenantConcurrency is how many calls to Graph may be under way for one tenant, or wait for their mailbox's turn; 0 means
	// 48. A batch counts as four. It should be below the client's own bound, or one tenant whose calls hang takes all.
	TenantConcurrency int
	// MaxAttempts is how often a group is tried that fails for a reason which waiting doesn't cure; 0 means 5.
	MaxAttempts int
	// BatchSize is how many look-ups or commits share a statement or a transaction at most, 0 means 256, and Runners how many
	// of those are under way at once, 0 means 2.
	BatchSize int
	Runners   int
	// NotFoundRetries are the pauses before an event that was not found is asked for again; nil means 0.5, 1 and 2 s.
	NotFoundRetries []time.Duration
	// DoubtRetries are the pauses before an event is read again whose reading did not show what the hints spoke of; nil
	// means 1 and 3 s.
	DoubtRetries []time.Duration
	// ConfirmAfter is the pause before an event that had vanished and is back as it was is read again; 0 means 2 s.
	ConfirmAfter time.Duration
	// RetryMin and RetryMax bound the backoff after trouble that passes; 0 means 0.5 s and 30 s.
	RetryMin, RetryMax time.Duration
	// ProbeMin and ProbeMax bound the backoff between probes of a mailbox that can't be read; 0 means 5 s and 10 min.
	ProbeMin, ProbeMax time.Duration
	// SilenceGrace is how long a notification may take before a subscription counts as silent; 0 means 2 min.
	SilenceGrace time.Duration
	// Lease is how long a sweep may take over what it claimed before another takes it; 0 means 2 min.
	Lease time.Duration
	// ApplyLease is how long one request may be worked on before another process takes it, should this one have died; 0 means
	// 30 s. What was cut off is found again: a booking by its transaction, a change by what Outlook shows.
	ApplyLease time.Duration
	// ApplyAgain is how long after its command a request that is still open, with nobody at work on it, gets another; 0 means
	// 1 min.
	ApplyAgain time.Duration
	// ApplyConcurrency is how many requests are worked on at once; 0 means 64.
	ApplyConcurrency int
	// RelayInterval is how long the relay waits before it looks without being woken; 0 means 5 s.
	RelayInterval time.Duration
	// Grace is how long handlers may finish once the context ended; 0 means 10 s.
	Grace time.Duration
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	c.SweepInterval = cmp.Or(c.SweepInterval, 6*time.Hour)
	c.Concurrency = cmp.Or(c.Concurrency, 512)
	c.TenantConcurrency = cmp.Or(c.TenantConcurrency, 48)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 5)
	c.BatchSize = cmp.Or(c.BatchSize, 256)
	c.Runners = cmp.Or(c.Runners, 2)
	if c.NotFoundRetries == nil {
		c.NotFoundRetries = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}
	}
	if c.DoubtRetries == nil {
		c.DoubtRetries = []time.Duration{time.Second, 3 * time.Second}
	}
	c.ConfirmAfter = cmp.Or(c.ConfirmAfter, 2*time.Second)
	c.RetryMin = cmp.Or(c.RetryMin, 500*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, 30*time.Second)
	c.ProbeMin = cmp.Or(c.ProbeMin, 5*time.Second)
	c.ProbeMax = cmp.Or(c.ProbeMax, 10*time.Minute)
	c.SilenceGrace = cmp.Or(c.SilenceGrace, 2*time.Minute)
	c.Lease = cmp.Or(c.Lease, 2*time.Minute)
	c.ApplyLease = cmp.Or(c.ApplyLease, 30*time.Second)
	c.ApplyAgain = cmp.Or(c.ApplyAgain, time.Minute)
	c.ApplyConcurrency = cmp.Or(c.ApplyConcurrency, 64)
	c.RelayInterval = cmp.Or(c.RelayInterval, 5*time.Second)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	return c
}

// validate names the field that can't work.
func (c Config) validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"SweepInterval", int64(c.SweepInterval)},
		{"Concurrency", int64(c.Concurrency)},
		{"TenantConcurrency", int64(c.TenantConcurrency)},
		{"MaxAttempts", int64(c.MaxAttempts)},
		{"BatchSize", int64(c.BatchSize)},
		{"Runners", int64(c.Runners)},
		{"ConfirmAfter", int64(c.ConfirmAfter)},
		{"RetryMin", int64(c.RetryMin)},
		{"ProbeMin", int64(c.ProbeMin)},
		{"SilenceGrace", int64(c.SilenceGrace)},
		{"Lease", int64(c.Lease)},
		{"ApplyLease", int64(c.ApplyLease)},
		{"ApplyAgain", int64(c.ApplyAgain)},
		{"ApplyConcurrency", int64(c.ApplyConcurrency)},
		{"RelayInterval", int64(c.RelayInterval)},
		{"Grace", int64(c.Grace)},
	} {
		if f.value < 0 {
			return fmt.Errorf("%s is negative", f.name)
		}
	}
	negative := func(d time.Duration) bool { return d < 0 }
	switch {
	case c.RetryMax < c.RetryMin:
		return errors.New("RetryMax is below RetryMin")
	case c.ProbeMax < c.ProbeMin:
		return errors.New("ProbeMax is below ProbeMin")
	case slices.ContainsFunc(c.NotFoundRetries, negative):
		return errors.New("NotFoundRetries has a negative pause")
	case slices.ContainsFunc(c.DoubtRetries, negative):
		return errors.New("DoubtRetries has a negative pause")
	}
	return nil
}

// verifyIn is when a session that was just read is due again.
func (c Config) verifyIn() time.Duration { return c.SweepInterval - rand.N(c.SweepInterval/10+1) }

// Deps is what the workers work with. All of it is required.
type Deps struct {
	Store      *model.Store
	Graph      *graph.Client
	Broker     *queue.Broker
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Workers are reconcile, apply, sweep and relay.
type Workers struct {
	cfg        Config
	deps       Deps
	ledger     *ledger
	reconciler *reconciler
	second     *second
	applier    *applier
	dispatcher *dispatcher
	sweep      *sweep
	relay      *relay
}

// New checks cfg and deps and registers the room's metrics. Nothing runs yet.
func New(cfg Config, deps Deps) (*Workers, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	if deps.Store == nil || deps.Graph == nil || deps.Broker == nil || deps.Log == nil || deps.Registerer == nil {
		return nil, errors.New("workers: a dependency is missing")
	}
	m := newMetrics(deps.Registerer)
	places := newGate(cfg.TenantConcurrency, gatePatience)
	w := &Workers{cfg: cfg, deps: deps, ledger: newLedger(deps.Store, cfg)}
	read := &reader{
		calendar: gated{calendar: deps.Graph, gate: places, carpool: newCarpool(deps.Graph, deps.Graph, places)},
		patience: cfg.NotFoundRetries, confirmAfter: cfg.ConfirmAfter,
	}
	ill := &wards{store: deps.Store, probeMin: cfg.ProbeMin, probeMax: cfg.ProbeMax, log: deps.Log}
	due := make(chan struct{}, 1)
	ill.marked = func() { fill(due) }
	w.second = newSecond(cfg.DoubtRetries, deps.Log)
	w.reconciler = &reconciler{
		cfg: cfg, store: deps.Store, ledger: w.ledger, reader: read, wards: ill, second: w.second,
		metrics: m, log: deps.Log,
	}
	w.second.now = w.reconciler.onceMore
	w.sweep = &sweep{
		cfg: cfg, store: deps.Store, directory: deps.Graph, ledger: w.ledger, reader: read, gate: places, wards: ill,
		metrics: m, log: deps.Log, wake: due, freed: make(chan struct{}, 1),
		lanes: newLanes(sweepWidth, sweepPace),
	}
	w.applier = &applier{
		cfg: cfg, store: deps.Store, outlook: outlook{client: deps.Graph, gate: places},
		ledger: w.ledger, reader: read, wards: ill, metrics: newApplyMetrics(deps.Registerer, m), log: deps.Log,
		step: func(context.Context, string) {},
	}
	w.dispatcher = &dispatcher{
		store: deps.Store, publish: deps.Broker.PublishCommand, again: cfg.ApplyAgain, retryMin: cfg.RetryMin,
		retryMax: cfg.RetryMax, log: deps.Log, wake: make(chan struct{}, 1), step: w.applier.step,
	}
	w.relay = &relay{
		outbox: deps.Store, publish: toBroker(deps.Broker), metrics: m, log: deps.Log, wake: make(chan struct{}, 1),
		every: cfg.RelayInterval, retryMin: cfg.RetryMin, retryMax: cfg.RetryMax, sent: make(map[int64]bool),
	}
	return w, nil
}

// Run does all of it until ctx ends. Then it takes nothing new, finishes the groups in hand for as long as Grace, and
// returns nil. Trouble with PostgreSQL, NATS or Graph never ends it.
func (w *Workers) Run(ctx context.Context) error {
	// Whoever shares statements outlives those who wait for them.
	shared, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var below errgroup.Group
	below.Go(func() error { return w.ledger.Run(shared) })

	consumer := w.deps.Broker.NewHintConsumer(queue.ConsumerConfig{
		Concurrency: w.cfg.Concurrency, Grace: w.cfg.Grace, MaxAttempts: w.cfg.MaxAttempts,
		RetryMin: w.cfg.RetryMin, RetryMax: w.cfg.RetryMax, Log: w.deps.Log, Registerer: w.deps.Registerer,
	})
	commands := w.deps.Broker.NewCommandConsumer(queue.ConsumerConfig{
		Concurrency: w.cfg.ApplyConcurrency, Grace: w.cfg.Grace, MaxAttempts: w.cfg.MaxAttempts,
		RetryMin: w.cfg.RetryMin, RetryMax: w.cfg.RetryMax, Log: w.deps.Log, Registerer: w.deps.Registerer,
	})
	above, ctx := errgroup.WithContext(ctx)
	above.Go(func() error { return consumer.Run(ctx, w.reconciler.handle) })
	above.Go(func() error { return commands.Run(ctx, w.applier.handle) })
	above.Go(func() error { return w.dispatcher.Run(ctx) })
	above.Go(func() error { return w.second.Run(ctx) })
	above.Go(func() error { return w.sweep.Run(ctx) })
	above.Go(func() error { return w.relay.Run(ctx) })
	above.Go(func() error { return w.listen(ctx, w.sweep.wake, model.ChannelSweep) })
	above.Go(func() error { return w.listen(ctx, w.dispatcher.wake, model.ChannelCommands) })
	above.Go(func() error { return w.listen(ctx, w.relay.wake, model.ChannelChanges) })
	err := above.Wait()
	stop()
	return errors.Join(err, below.Wait())
}

// listen fills wake for every signal of a channel.
func (w *Workers) listen(ctx context.Context, wake chan<- struct{}, channel string) error {
	return w.deps.Store.Listen(ctx, func(string) { fill(wake) }, channel)
}

// fill puts a signal into a channel of size one. One that is full already says all there is to say.
func fill(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
