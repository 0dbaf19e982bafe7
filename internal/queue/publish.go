package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/model"
)

var (
	errPublisherClosed = errors.New("publisher is closed")
	errPublisherFull   = errors.New("too many notifications are waiting for jetstream")
)

// PublishMode is how a Publisher hands hints to JetStream.
type PublishMode string

// The modes. PublishAuto, the zero value's meaning, chooses between the other two by what they are seen to cost.
const (
	PublishAuto PublishMode = "auto"
	// PublishBatch sends what waits as atomic batches.
	PublishBatch PublishMode = "batch"
	// PublishAsync sends every hint as a message of its own and has many of them on their way at once.
	PublishAsync PublishMode = "async"
)

// PublisherConfig shapes a Publisher.
type PublisherConfig struct {
	// Stream is where the hints go; empty means PAIRSYNC_NOTIFICATIONS.
	Stream string
	// Mode is how; empty means PublishAuto.
	Mode PublishMode
	// Window is how many messages, or batches, may wait for their confirmation at once; zero means 2048.
	Window int
	// MaxBatch is the most messages in an atomic batch; zero means 1000, which is also the most that the server takes.
	MaxBatch int
	// MaxWaiting is how many hints may wait to be sent before more are turned away; zero means 16384.
	MaxWaiting int
	// ConfirmTimeout is how long a message without an answer keeps its place in the window; zero means 5 s. How long a caller
	// waits is the caller's own matter.
	ConfirmTimeout time.Duration
	// Remember is how many confirmed messages are remembered, to answer their repetition without publishing; zero means 32768.
	Remember int
	// RememberFor is how long; zero means 10 min. Graph repeats a notification within minutes at first.
	RememberFor time.Duration
	// Log is told of changes of state only; nil means nobody is.
	Log *slog.Logger
}

const (
	// Two publishers keep the server busy while the answer to the other one's batch is on its way. More would only make the
	// batches smaller, and the server bounds the batches in flight per stream.
	batchPublishers = 2
	serverMaxBatch  = 1000
)

// Publisher makes hints durable in JetStream. It never waits for company: whoever is free to send takes all that waits.
type Publisher struct {
	cfg    PublisherConfig
	nc     *nats.Conn
	js     jetstream.JetStream
	acks   *acks
	recent *recent
	pace   pace
	// connected mirrors the connection's state, because asking the connection waits for whoever is writing to it.
	connected atomic.Bool
	// batches says that the server and the stream take atomic batches.
	batches atomic.Bool
	// known says that batches was found out on this connection; Run's alone.
	known bool
	// open counts the hints that were accepted and have not been settled.
	open atomic.Int64
	// answered counts the answers to single messages.
	answered atomic.Uint64
	// alone is held for reading by whoever sends, and for writing to have nothing else under way.
	alone sync.RWMutex

	mu      sync.Mutex
	work    sync.Cond // queue grew or closed changed
	queue   []*publishCall
	waiting int // items in queue
	closed  bool
}

// NewPublisher makes a Publisher on the connection; Run must be running for anything to be confirmed.
func NewPublisher(nc *nats.Conn, js jetstream.JetStream, cfg PublisherConfig) *Publisher {
	cfg.Stream = cmp.Or(cfg.Stream, StreamNotifications)
	cfg.Mode = cmp.Or(cfg.Mode, PublishAuto)
	cfg.Window = cmp.Or(cfg.Window, 2048)
	cfg.MaxBatch = min(cmp.Or(cfg.MaxBatch, serverMaxBatch), serverMaxBatch)
	cfg.MaxWaiting = cmp.Or(cfg.MaxWaiting, 16384)
	cfg.ConfirmTimeout = cmp.Or(cfg.ConfirmTimeout, 5*time.Second)
	cfg.Remember = cmp.Or(cfg.Remember, 32768)
	cfg.RememberFor = cmp.Or(cfg.RememberFor, 10*time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Publisher{
		cfg: cfg, nc: nc, js: js,
		acks:   newAcks(nc, cfg.Stream, cfg.Window),
		recent: newRecent(cfg.Remember, cfg.RememberFor),
	}
	p.work.L = &p.mu
	p.connected.Store(nc.IsConnected())
	return p
}

// publishCall is one call of Publish and what has become of its hints.
type publishCall struct {
	items []*publishItem
	done  chan struct{} // closed when no hint is open

	mu        sync.Mutex
	results   []model.Confirmation
	open      int
	err       error // why the first unconfirmed hint is so
	abandoned bool  // the caller has gone; results belong to it
	began     time.Time
}

// publishItem is one message that a call has to send.
type publishItem struct {
	p     *Publisher
	call  *publishCall
	index int
	key   messageKey
	keyed bool
	msg   *nats.Msg
}

// Publish hands the hints to JetStream and returns what became of each, in the same order. It returns by the end of ctx at the
// latest; a hint that is Unconfirmed then may still become durable. The error says why the first Unconfirmed hint is so and is
// nil when there is none.
func (p *Publisher) Publish(ctx context.Context, hints []model.Hint) ([]model.Confirmation, error) {
	c := &publishCall{results: make([]model.Confirmation, len(hints)), open: len(hints), done: make(chan struct{}), began: time.Now()}
	if len(hints) == 0 {
		return c.results, nil
	}
	if !p.connected.Load() {
		return c.results, errDisconnected
	}
	p.prepare(ctx, c, hints)
	p.enqueue(c)
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open > 0 {
		c.abandoned = true
		return c.results, fmt.Errorf("waiting for jetstream: %w", context.Cause(ctx))
	}
	return c.results, c.err
}

// prepare makes a message of every hint that isn't known already.
func (p *Publisher) prepare(ctx context.Context, c *publishCall, hints []model.Hint) {
	trace := nats.Header{}
	inject(ctx, trace)
	c.items = make([]*publishItem, 0, len(hints))
	for i := range hints {
		key, keyed := hintKey(&hints[i])
		if keyed {
			switch p.recent.enter(key, waiter{c, i}, c.began) {
			case standingStored:
				c.settle(i, model.Duplicate, nil)
				continue
			case standingJoined:
				continue
			case standingNew:
			}
		}
		c.items = append(c.items, &publishItem{
			p: p, call: c, index: i, key: key, keyed: keyed,
			msg: hintMessage(&hints[i], key, keyed, trace),
		})
	}
}

// settle notes what became of one hint of the call.
func (c *publishCall) settle(index int, result model.Confirmation, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned {
		return
	}
	c.results[index] = result
	if c.err == nil {
		c.err = err
	}
	if c.open--; c.open == 0 {
		close(c.done)
	}
}

func (c *publishCall) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned
}

// finish notes what became of the message, for its own call and for those that joined it.
func (it *publishItem) finish(result model.Confirmation, err error) {
	now := time.Now()
	it.call.settle(it.index, result, err)
	it.p.open.Add(-1)
	joined := model.Unconfirmed
	if result != model.Unconfirmed {
		joined = model.Duplicate
	}
	if !it.keyed {
		return
	}
	for _, w := range it.p.recent.settle(it.key, joined == model.Duplicate, now) {
		w.call.settle(w.index, joined, err)
	}
}

// settle takes JetStream's answer to the message, sent on its own.
func (it *publishItem) settle(a ack) {
	switch {
	case a.err != nil:
		it.finish(model.Unconfirmed, a.err)
	case a.Duplicate:
		it.finish(model.Duplicate, nil)
	default:
		it.finish(model.Stored, nil)
	}
	it.p.answered.Add(1)
}

func finishAll(items []*publishItem, result model.Confirmation, err error) {
	for _, it := range items {
		it.finish(result, err)
	}
}

// enqueue puts the call before the senders, or turns it away.
func (p *Publisher) enqueue(c *publishCall) {
	if len(c.items) == 0 {
		return
	}
	p.open.Add(int64(len(c.items)))
	p.mu.Lock()
	var err error
	switch {
	case p.closed:
		err = errPublisherClosed
	case p.waiting+len(c.items) > p.cfg.MaxWaiting:
		err = errPublisherFull
	default:
		p.queue = append(p.queue, c)
		p.waiting += len(c.items)
		p.work.Signal()
	}
	p.mu.Unlock()
	if err != nil {
		finishAll(c.items, model.Unconfirmed, err)
	}
}

// take waits for work and takes all of it, up to one batch. ok is false when the publisher is closed and nothing is left.
func (p *Publisher) take() (items []*publishItem, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.closed {
		p.work.Wait()
	}
	if len(p.queue) == 0 {
		return nil, false
	}
	return p.takeLocked(), true
}

// takeWaiting takes what waits, if anything.
func (p *Publisher) takeWaiting() []*publishItem {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeLocked()
}

func (p *Publisher) takeLocked() []*publishItem {
	n, calls := 0, 0
	// No more than a batch holds, because a remainder would be a batch of its own; but a call is not torn apart.
	for calls < len(p.queue) && (calls == 0 || n+len(p.queue[calls].items) <= p.cfg.MaxBatch) {
		n += len(p.queue[calls].items)
		calls++
	}
	items := make([]*publishItem, 0, n)
	for _, c := range p.queue[:calls] {
		if c.gone() {
			finishAll(c.items, model.Unconfirmed, nil)
			continue
		}
		items = append(items, c.items...)
	}
	p.waiting -= n
	if p.queue = p.queue[calls:]; len(p.queue) == 0 {
		p.queue = nil
	} else {
		p.work.Signal() // for the other sender
	}
	return items
}
