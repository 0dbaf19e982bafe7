package workers

import (
	"context"
	"log/slog"
	"time"
)

// shortestLook is how long a loop waits at least for what is due next: our clock and the database's may disagree.
const shortestLook = 20 * time.Millisecond

// errand is a loop around a queue in the database.
type errand struct {
	// once does what is due, and says whether there may be more at once.
	once func(ctx context.Context) (more bool, err error)
	// due tells when the next is due, if that is known.
	due func(ctx context.Context) (time.Time, bool, error)
	// poll is the longest time between two looks.
	poll               time.Duration
	retryMin, retryMax time.Duration
	wake               <-chan struct{}
	log                *slog.Logger
	// interrupted is the constant message of the line that says that once failed.
	interrupted string
}

// run works until ctx ends.
func (e errand) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		more, err := e.once(ctx)
		if err != nil && ctx.Err() == nil {
			failures++
			wait := backoff(failures, e.retryMin, e.retryMax)
			e.log.WarnContext(ctx, e.interrupted, slog.String("error", err.Error()), slog.Duration("wait", wait)) //nolint:sloglint // Constant where it is given.
			_ = pause(ctx, wait)                                                                                  // The loop asks the context.
			continue
		}
		failures = 0
		if !more {
			e.rest(ctx)
		}
	}
}

// rest waits until something may be due.
func (e errand) rest(ctx context.Context) {
	wait := e.poll
	if at, some, err := e.due(ctx); err == nil && some {
		wait = min(max(time.Until(at), shortestLook), wait)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-e.wake:
	case <-t.C:
	case <-ctx.Done():
	}
}
