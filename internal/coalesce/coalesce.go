// Package coalesce turns calls that are made at the same time into batches, for work that costs nearly the same for one
// item as for many: a disk sync, a database transaction, a look-up over the network.
//
// It never waits for a batch to fill. A free runner takes whatever is waiting; while it is busy the next batch gathers by
// itself. So a lone call is as fast as without batching, and the busier it gets the larger the batches become.
//
// It promises that every accepted item is done or its caller is told why not, also when Run ends. It keeps no order
// between batches of different runners, and it imports nothing of this module.
package coalesce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrClosed is returned to callers that come after Run has been told to end.
var ErrClosed = errors.New("coalesce: closed")

// Config says how a Group works.
type Config struct {
	// Runners is how many batches may be in work at the same time. Zero: 1.
	Runners int
	// MaxBatch is the most items in a batch. Zero: no limit.
	MaxBatch int
}

// Group gathers items of type T into batches and gives every caller its own result.
type Group[T, R any] struct {
	cfg Config
	do  func(ctx context.Context, batch []T) ([]R, error)

	mu      sync.Mutex
	waiting []item[T, R]
	closed  bool
	// work is signalled when an item waits or the group closes.
	work sync.Cond
}

// item is one value and the place of its result.
type item[T, R any] struct {
	value T
	call  *call[R]
	place int
}

// call is what one caller waits for. All but done and ctx is guarded by the group's lock until done is closed.
type call[R any] struct {
	// ctx is the caller's: it has ended when nobody waits any more, and it says in whose name the work is done.
	ctx     context.Context //nolint:containedctx // It goes no further than the call that brought it.
	results []R
	err     error
	left    int
	done    chan struct{}
}

// New returns a Group that hands batches to do, which returns one result for each item, in order. An error of do is given
// to everybody in the batch; what concerns one item only belongs into its result. do must bound its own time: its context
// never ends, so that what was accepted gets finished. It has the values of the first item's caller, so that the batch
// stands in a trace.
func New[T, R any](cfg Config, do func(ctx context.Context, batch []T) ([]R, error)) *Group[T, R] {
	cfg.Runners = cmp.Or(cfg.Runners, 1)
	g := &Group[T, R]{cfg: cfg, do: do}
	g.work.L = &g.mu
	return g
}

// Run works until ctx ends, finishes what had been accepted by then, and returns nil. It is called once.
func (g *Group[T, R]) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.closed = true
		g.work.Broadcast()
	})
	defer stop()
	var runners sync.WaitGroup
	for range g.cfg.Runners {
		runners.Go(g.runner)
	}
	runners.Wait()
	return nil
}

// Do waits for the result of one item. If ctx ends first it returns the context's error, and the item may or may not be
// done. Items may be handed over before Run begins.
func (g *Group[T, R]) Do(ctx context.Context, value T) (R, error) {
	results, err := g.DoAll(ctx, []T{value})
	if err != nil {
		var none R
		return none, err
	}
	return results[0], nil
}

// DoAll is Do for several items at once, with their results in order. They may end up in different batches; if one of
// these fails, so does the call.
func (g *Group[T, R]) DoAll(ctx context.Context, values []T) ([]R, error) {
	if err := ctx.Err(); err != nil || len(values) == 0 {
		return nil, err
	}
	c := &call[R]{results: make([]R, len(values)), left: len(values), done: make(chan struct{}), ctx: ctx}
	if !g.enqueue(c, values) {
		return nil, ErrClosed
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.results, nil
}

func (g *Group[T, R]) enqueue(c *call[R], values []T) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	for i, v := range values {
		g.waiting = append(g.waiting, item[T, R]{value: v, call: c, place: i})
	}
	g.work.Signal()
	return true
}

func (g *Group[T, R]) runner() {
	var values []T
	for {
		batch := g.take()
		if batch == nil {
			return
		}
		values = values[:0]
		for _, it := range batch {
			values = append(values, it.value)
		}
		results, err := g.do(context.WithoutCancel(batch[0].call.ctx), values)
		if err == nil && len(results) != len(batch) {
			err = fmt.Errorf("coalesce: %d results for %d items", len(results), len(batch))
		}
		g.settle(batch, results, err)
		clear(values)
	}
}

// take returns what is waiting, and nil when nothing is and nothing will be.
func (g *Group[T, R]) take() []item[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		g.dropAbandoned()
		if len(g.waiting) > 0 {
			break
		}
		if g.closed {
			return nil
		}
		g.work.Wait()
	}
	n := len(g.waiting)
	if g.cfg.MaxBatch > 0 {
		n = min(n, g.cfg.MaxBatch)
	}
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	if len(g.waiting) > 0 {
		g.work.Signal() // Another runner may be free for the rest.
	}
	return batch
}

// dropAbandoned forgets the items at the front for which nobody waits any more.
func (g *Group[T, R]) dropAbandoned() {
	for len(g.waiting) > 0 {
		select {
		case <-g.waiting[0].call.ctx.Done():
			g.waiting = g.waiting[1:]
		default:
			return
		}
	}
}

func (g *Group[T, R]) settle(batch []item[T, R], results []R, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, it := range batch {
		switch {
		case err == nil:
			it.call.results[it.place] = results[i]
		case it.call.err == nil:
			it.call.err = err
		}
		if it.call.left--; it.call.left == 0 {
			close(it.call.done)
		}
	}
}
