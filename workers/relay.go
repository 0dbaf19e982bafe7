package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"pairsync/internal/queue"
	"pairsync/model"
)

// relayLock is the advisory lock under which one relay at a time publishes, in however many processes it runs.
const relayLock = "relay"

// outbox is where committed changes wait; *model.Store is one.
type outbox interface {
	OutboxBatch(ctx context.Context, limit int) ([]model.Change, error)
	OutboxDone(ctx context.Context, cursors []int64) error
	WithLock(ctx context.Context, name string, fn func(ctx context.Context) error) (ran bool, err error)
}

// relay publishes committed changes. A session's changes go one after another, each after the confirmation of the one
// before; those of different sessions go side by side.
type relay struct {
	outbox  outbox
	publish func(ctx context.Context, ch model.Change) error
	metrics *metrics
	log     *slog.Logger
	// wake is filled when there may be something new.
	wake chan struct{}
	// every is how long the relay waits for a wake before it looks by itself.
	every              time.Duration
	retryMin, retryMax time.Duration

	// sent are the changes that are published and not yet struck from the outbox. The Nats-Msg-Id would make a second
	// publishing harmless for two minutes only.
	sent map[int64]bool
}

// The relay's sizes: changes taken from the outbox at once, and how many of them may wait for their confirmation.
const (
	relayBatch    = 512
	relayInFlight = 64
)

// relayGrace is how long striking from the outbox may take once ctx ended.
const relayGrace = 5 * time.Second

// Run takes the lock as soon as no other relay has it, and publishes until ctx ends. Trouble with PostgreSQL or NATS makes it
// wait, never end.
func (r *relay) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		ran, err := r.outbox.WithLock(ctx, relayLock, r.publishAll)
		wait := r.every
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			wait = backoff(failures, r.retryMin, r.retryMax)
			r.log.WarnContext(ctx, "publishing changes is interrupted", slog.String("error", err.Error()), slog.Duration("wait", wait))
		case ran:
			failures, wait = 0, 0
		default:
			failures = 0
		}
		_ = pause(ctx, wait) // The loop asks the context.
	}
	return nil
}

// publishAll publishes what is in the outbox and what comes, until ctx ends or something fails.
func (r *relay) publishAll(ctx context.Context) error {
	for {
		n, err := r.publishSome(ctx)
		if err != nil {
			return err
		}
		if n == relayBatch {
			continue
		}
		t := time.NewTimer(r.every)
		select {
		case <-r.wake:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

// publishSome publishes one batch and strikes from the outbox what was confirmed, also when some of it failed. It says how
// many the outbox gave.
func (r *relay) publishSome(ctx context.Context) (int, error) {
	changes, err := r.outbox.OutboxBatch(ctx, relayBatch)
	if err != nil {
		return 0, fmt.Errorf("reading the outbox: %w", err)
	}
	r.forget(changes)
	if len(changes) == 0 {
		return 0, nil
	}
	ctx, span := startTrace(ctx, "relay", attribute.Int("changes", len(changes)))
	defer span.End()
	done, failed := r.publishChains(ctx, chains(changes))
	if len(done) > 0 {
		// What is confirmed is struck even if ctx ended meanwhile: the lock's connection may be gone, the pool's is not.
		strike, cancel := context.WithTimeout(context.WithoutCancel(ctx), relayGrace)
		defer cancel()
		if err := r.outbox.OutboxDone(strike, done); err != nil {
			return 0, fmt.Errorf("striking published changes from the outbox: %w", err)
		}
	}
	if failed != nil {
		span.RecordError(failed)
		return 0, fmt.Errorf("publishing changes: %w", failed)
	}
	return len(changes), nil
}

// forget drops from the memory of what was sent all that somebody struck from the outbox. The outbox gives its oldest first,
// so that what was sent and is still in it is in changes.
func (r *relay) forget(changes []model.Change) {
	if len(r.sent) == 0 {
		return
	}
	still := make(map[int64]bool)
	for _, ch := range changes {
		if r.sent[ch.Cursor] {
			still[ch.Cursor] = true
		}
	}
	r.sent = still
}

// chains sorts changes by session and keeps their order within each.
func chains(changes []model.Change) [][]model.Change {
	type key struct{ tenant, session string }
	places := make(map[key]int)
	var all [][]model.Change
	for _, ch := range changes {
		k := key{ch.Tenant, ch.Session}
		place, ok := places[k]
		if !ok {
			place = len(all)
			places[k] = place
			all = append(all, nil)
		}
		all[place] = append(all[place], ch)
	}
	return all
}

// delivery is what became of a batch so far.
type delivery struct {
	mu     sync.Mutex
	done   []int64
	failed error
}

// publishChains publishes the chains side by side. A chain ends at its first failure, so that nothing overtakes it, and the
// others end too: if one message can't be published, most likely none can. It gives the cursors of all that is published,
// and the first failure.
func (r *relay) publishChains(ctx context.Context, all [][]model.Change) ([]int64, error) {
	var d delivery
	var group sync.WaitGroup
	slots := make(chan struct{}, relayInFlight)
	for _, chain := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			for _, ch := range chain {
				if !r.deliver(ctx, &d, ch) {
					return
				}
			}
		})
	}
	group.Wait()
	return d.done, d.failed
}

// deliver publishes one change unless that was done before, and says whether to go on.
func (r *relay) deliver(ctx context.Context, d *delivery, ch model.Change) bool {
	d.mu.Lock()
	sent, broken := r.sent[ch.Cursor], d.failed != nil
	d.mu.Unlock()
	if broken {
		return false
	}
	var err error
	if !sent {
		err = r.publish(ctx, ch)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if d.failed == nil {
			d.failed = err
		}
		return false
	}
	d.done = append(d.done, ch.Cursor)
	if !sent {
		r.sent[ch.Cursor] = true
		r.metrics.changes.WithLabelValues(string(ch.Kind), string(ch.Source), string(ch.Cause)).Inc()
	}
	return true
}

// toBroker publishes one change as a CloudEvent and waits for the confirmation.
func toBroker(broker *queue.Broker) func(ctx context.Context, ch model.Change) error {
	return func(ctx context.Context, ch model.Change) error {
		body, err := cloudEvent(ch)
		if err != nil {
			return err
		}
		return broker.PublishEvent(ctx, queue.EventSubject{Tenant: ch.Tenant, Session: ch.Session, Kind: ch.Kind}, ch.ID, body)
	}
}
