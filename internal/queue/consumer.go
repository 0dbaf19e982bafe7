package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"pairsync/model"
)

// Group is all hints about one thing that waited at the same time, oldest first.
type Group struct {
	// Key is the same for all hints about one event, or about one lifecycle event of a subscription; opaque.
	Key   string
	Hints []model.Hint
	// Attempt is how often the most redelivered hint has been handed over, this time included; later as told counts too.
	Attempt int
	// Failures is how often handling them has failed before: plain errors only. At MaxAttempts they are given up.
	Failures int
}

// Handler works on one group. Nil means done. RetryAfter, Drop and any other error say what else; a plain error means later,
// with growing pauses, and after MaxAttempts of them the dead letters. Its context outlives Run's by Grace.
type Handler func(ctx context.Context, g Group) error

// ConsumerConfig says how a Consumer works.
type ConsumerConfig struct {
	// Concurrency is how many groups are worked on at the same time. Zero: 16.
	Concurrency int
	// Window is how many messages this process holds at most, waiting and in work. Zero: 512, or four times Concurrency if
	// that is more.
	Window int
	// Grace is how long the work in hand may go on once Run's context has ended. Zero: 20 s.
	Grace time.Duration
	// MaxAttempts is how many plain errors a message survives less one. Zero: 8.
	MaxAttempts int
	// RetryMin and RetryMax bound the pause after a plain error, which doubles with each. Zero: 1 s and 5 min.
	RetryMin time.Duration
	RetryMax time.Duration
	// Log is told of trouble. Nil: nobody is told.
	Log *slog.Logger
	// Registerer takes the consumer's metrics. Nil: they are kept to itself.
	Registerer prometheus.Registerer
}

func (c ConsumerConfig) withDefaults() ConsumerConfig {
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.Window = cmp.Or(c.Window, max(512, 4*c.Concurrency))
	c.Grace = cmp.Or(c.Grace, 20*time.Second)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 8)
	c.RetryMin = cmp.Or(c.RetryMin, time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, 5*time.Minute)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

// errConnectionClosed ends Run: somebody closed the connection under it, and it won't come back.
var errConnectionClosed = errors.New("the NATS connection was closed")

// route is what a consumer takes, and how it makes sense of it.
type route[T any] struct {
	stream, consumer string
	decode           func(data []byte) (T, error)
	// key is what messages must share to be about the same thing.
	key func(*T) string
	// span names the handling of a group in traces.
	span string
}

// group is the messages about one thing that waited at the same time, oldest first.
type group[T any] struct {
	key      string
	items    []T
	attempt  int
	failures int
}

// consumer hands the messages of a work queue to a handler, those about one thing together and never twice at a time.
type consumer[T any] struct {
	b       *Broker
	cfg     ConsumerConfig
	route   route[T]
	metrics *consumerMetrics
	puller  puller
	desk    desk[T]
}

func newConsumer[T any](b *Broker, cfg ConsumerConfig, r route[T]) *consumer[T] {
	c := &consumer[T]{b: b, cfg: cfg.withDefaults(), route: r}
	c.metrics = newConsumerMetrics(cfg.Registerer, r.stream, r.consumer)
	c.puller.init(b, r.stream, r.consumer)
	c.desk.init(c.cfg.Window)
	return c
}

// Consumer hands the hints of PAIRSYNC_NOTIFICATIONS to a handler.
type Consumer struct{ *consumer[model.Hint] }

// NewHintConsumer returns a Consumer of PAIRSYNC_NOTIFICATIONS. Any number of them, in any number of processes, share the
// stream.
func (b *Broker) NewHintConsumer(cfg ConsumerConfig) *Consumer {
	return &Consumer{newConsumer(b, cfg, route[model.Hint]{
		stream: StreamNotifications, consumer: ConsumerReconcile, decode: decodeHint, key: groupKey, span: "handle hints",
	})}
}

// Run hands out groups until ctx ends. Then it takes nothing more, gives back what hasn't begun, lets running handlers go on
// for Grace, ends their context, waits for them, and returns nil. Breaks of the connection and a consumer that was deleted
// are mended for as long as it runs; it fails only when the connection is closed for good. It is called once.
func (c *Consumer) Run(ctx context.Context, handle Handler) error {
	return c.run(ctx, func(ctx context.Context, g group[model.Hint]) error {
		return handle(ctx, Group{Key: g.key, Hints: g.items, Attempt: g.attempt, Failures: g.failures})
	})
}

func (c *consumer[T]) run(ctx context.Context, handle func(context.Context, group[T]) error) error {
	status := c.b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer c.b.nc.RemoveStatusListener(status)
	if err := c.puller.subscribe(c.receive); err != nil {
		return err
	}
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	taking, leave := context.WithCancel(ctx)
	defer leave()
	var workers, mender sync.WaitGroup
	for range c.cfg.Concurrency {
		workers.Go(func() { c.worker(work, handle) })
	}
	mender.Go(func() { c.mend(taking) })
	c.pull()
	err := c.watch(ctx, status)

	leave()
	c.drain()
	grace := time.AfterFunc(c.cfg.Grace, cut)
	defer grace.Stop()
	c.outlast(&workers)
	mender.Wait()
	c.flush(ctx)
	return err
}

// watch keeps messages alive and pulls going until ctx ends.
func (c *consumer[T]) watch(ctx context.Context, status <-chan nats.Status) error {
	tick := time.NewTicker(c.rhythm())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-status:
			if s == nats.CLOSED {
				return errConnectionClosed
			}
			c.puller.reset() // Whatever was asked for is forgotten, on either side.
			c.pull()
		case now := <-tick.C:
			c.beat(now)
			if c.puller.silent(now) {
				c.puller.reset()
			}
			c.pull()
		}
	}
}

// rhythm is how often signs of life are due: often enough that one may get lost.
func (c *consumer[T]) rhythm() time.Duration { return min(c.b.cfg.AckWait/3, time.Second) }

// beat tells the server that the messages in hand are still being worked on.
func (c *consumer[T]) beat(now time.Time) {
	for _, reply := range c.desk.stale(now.Add(-c.b.cfg.AckWait/3), now) {
		_ = c.b.nc.Publish(reply, []byte("+WPI")) // Without it the message comes again, which is no harm.
	}
}

// drain stops the deliveries and gives back what hasn't begun.
func (c *consumer[T]) drain() {
	c.desk.stop()
	c.puller.stop() // Before anything is given back, or it would be delivered to us again.
	returned := c.desk.clear()
	c.settle(returned, decision{verdict: verdictReturned})
}

// outlast waits for the running handlers, and keeps their messages alive meanwhile.
func (c *consumer[T]) outlast(workers *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		workers.Wait()
	}()
	tick := time.NewTicker(c.rhythm())
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			c.beat(now)
		}
	}
}

// flush brings the last acknowledgements out. If that fails, the messages come again.
func (c *consumer[T]) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.b.nc.FlushWithContext(ctx)
}

// mendAfter is how long the server gets before anything is declared anew. A stream that is made while the server still
// clears away its predecessor of that name can end up taking no messages at all (seen with nats-server 2.15).
const mendAfter = time.Second

// mend declares the consumer anew when the server says that there is none.
func (c *consumer[T]) mend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.puller.lost:
		}
		for try := 0; pause(ctx, mendAfter+backoff(try, shortestDelay, 5*time.Second)); try++ {
			err := c.b.declare(ctx)
			if err == nil {
				break
			}
			if try == 0 && ctx.Err() == nil {
				c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "queue is not available", slog.String("stream", c.route.stream), slog.Any("error", err))
			}
		}
		c.puller.reset()
		c.pull()
	}
}

// pause waits, and tells whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
