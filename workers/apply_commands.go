package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/errgroup"

	"pairsync/model"
)

// The dispatcher's sizes: commands claimed at once and on their way at once, and how long it goes without looking.
const (
	dispatchClaim = 256
	dispatchWidth = 32
	dispatchLook  = 30 * time.Second
)

// dispatcher publishes commands of the requests that are due. The store has the truth; a command is a reason to look there.
type dispatcher struct {
	store   *model.Store
	publish func(ctx context.Context, c model.Command, at time.Time) error
	// again is how long after its command a request that is still open gets another.
	again              time.Duration
	retryMin, retryMax time.Duration
	log                *slog.Logger
	// wake is filled when something may have become due.
	wake chan struct{}
	step func(ctx context.Context, done string)
}

// Run publishes what is due until ctx ends.
func (d *dispatcher) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		wait, err := d.dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			failures++
			wait = backoff(failures, d.retryMin, d.retryMax)
			d.log.WarnContext(ctx, "publishing commands is interrupted", slog.String("error", err.Error()), slog.Duration("wait", wait))
			_ = pause(ctx, wait) // The loop asks the context.
			continue
		}
		failures = 0
		t := time.NewTimer(wait)
		select {
		case <-d.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return nil
}

// dispatch publishes all that is due and says when to look again.
func (d *dispatcher) dispatch(ctx context.Context) (time.Duration, error) {
	for {
		at := time.Now()
		commands, err := d.store.ClaimCommands(ctx, dispatchClaim, d.again)
		if err != nil {
			return 0, fmt.Errorf("claiming commands: %w", err)
		}
		if len(commands) > 0 {
			d.step(ctx, "dispatched")
		}
		if err := d.publishAll(ctx, commands, at); err != nil {
			return 0, err
		}
		if len(commands) < dispatchClaim {
			break
		}
	}
	next, ok, err := d.store.NextCommandDue(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking for the next command: %w", err)
	}
	if !ok {
		return dispatchLook, nil
	}
	return min(max(time.Until(next), 0)+time.Millisecond, dispatchLook), nil
}

// publishAll publishes claimed commands, each until it is durable: what is given up here would have to wait for its next turn.
func (d *dispatcher) publishAll(ctx context.Context, commands []model.Command, at time.Time) error {
	if len(commands) == 0 {
		return nil
	}
	ctx, span := startTrace(ctx, "dispatch", attribute.Int("commands", len(commands)))
	defer span.End()
	var work errgroup.Group
	work.SetLimit(dispatchWidth)
	for _, c := range commands {
		work.Go(func() error { return d.publishOne(ctx, c, at) })
	}
	return work.Wait()
}

func (d *dispatcher) publishOne(ctx context.Context, c model.Command, at time.Time) error {
	for failures := 1; ; failures++ {
		err := d.publish(ctx, c, at)
		if err == nil {
			d.step(ctx, "published")
			return nil
		}
		if time.Since(at) > d.again {
			return err // It is due again.
		}
		if pause(ctx, backoff(failures, d.retryMin, d.retryMax)) != nil {
			return err
		}
	}
}
