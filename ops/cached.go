package ops

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// cached asks a source at most once in maxAge, and never waits for it longer than its time-out. Failures are not kept: the
// next caller asks again. A nil *cached never has a value.
type cached[T any] struct {
	read     func() (T, error)
	maxAge   time.Duration
	failures prometheus.Counter

	mu     sync.Mutex
	value  T
	readAt time.Time
}

func newCached[T any](
	ctx context.Context, source func(context.Context) (T, error), maxAge, timeout time.Duration, failures prometheus.Counter,
) *cached[T] {
	read := func() (T, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		type answer struct {
			value T
			err   error
		}
		done := make(chan answer, 1)
		// A source that forgets its context must not hold the scrape.
		go func() {
			value, err := source(ctx)
			done <- answer{value, err}
		}()
		select {
		case a := <-done:
			return a.value, a.err
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	return &cached[T]{read: read, maxAge: maxAge, failures: failures}
}

// get returns the value and whether there is one.
func (c *cached[T]) get() (T, bool) {
	var none T
	if c == nil {
		return none, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.readAt.IsZero() && time.Since(c.readAt) < c.maxAge {
		return c.value, true
	}
	value, err := c.read()
	if err != nil {
		c.failures.Inc()
		return none, false
	}
	c.value, c.readAt = value, time.Now()
	return value, true
}
