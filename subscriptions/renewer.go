package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/model"
)

// Renewer keeps subscriptions alive. Make it with New.
type Renewer struct {
	cfg     Config
	store   *model.Store
	graph   *graph.Client
	states  *model.ClientStates
	log     *slog.Logger
	metrics *metrics
	lanes   *lanes
	ceiling ceiling
	// elsewhere are the subscriptions that were found to lead to another address than ours.
	elsewhere elsewhere
	// wake holds at most one word that something may be due before its time.
	wake chan struct{}
}

// New checks cfg and deps. Nothing happens before Run.
func New(cfg Config, deps Deps) (*Renewer, error) {
	cfg = cfg.withDefaults()
	if err := errors.Join(cfg.validate(), deps.validate()); err != nil {
		return nil, fmt.Errorf("subscriptions: %w", err)
	}
	return &Renewer{
		cfg: cfg, store: deps.Store, graph: deps.Graph, states: deps.ClientStates, log: deps.Log,
		metrics: newMetrics(deps.Registerer), lanes: newLanes(cfg.TenantConcurrency), wake: make(chan struct{}, 1),
	}, nil
}

// Run works until ctx ends; then it claims nothing more, finishes what is in hand within Config.Grace, gives back what could
// not be finished, and returns nil.
func (r *Renewer) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stopGrace := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(r.cfg.Grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cut()
		case <-work.Done():
		}
	})
	defer stopGrace()

	var all errgroup.Group
	all.Go(func() error {
		return r.store.Listen(ctx, func(string) { r.nudge() }, model.ChannelSubscriptions)
	})
	all.Go(func() error {
		r.watchAddress(ctx)
		return nil
	})
	all.Go(func() error {
		r.claim(ctx, work)
		return nil
	})
	if err := all.Wait(); err != nil {
		return fmt.Errorf("subscriptions: %w", err)
	}
	return nil
}

// nudge lets the claiming loop look again soon.
func (r *Renewer) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// claim takes due subscriptions as slots get free until ctx ends, and waits for those in hand.
func (r *Renewer) claim(ctx, work context.Context) {
	slots := make(chan struct{}, r.cfg.Concurrency)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	failures := 0
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
			<-slots // There is at least one: only this loop takes slots.
		case <-ctx.Done():
			return
		}
		free := cap(slots) - len(slots)
		due, err := r.store.SubscriptionsDue(ctx, free, r.cfg.Lease)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			failures++
			r.log.LogAttrs(ctx, slog.LevelWarn, "can't claim due subscriptions", slog.Any("error", err))
			r.pause(ctx, backoff{r.cfg.RetryMin, 30 * time.Second}.after(failures), false)
			continue
		}
		failures = 0
		for _, sub := range due {
			slots <- struct{}{}
			handlers.Go(func() {
				defer r.nudge() // What was just saved may be due before what the loop waits for.
				defer func() { <-slots }()
				r.handle(work, sub)
			})
		}
		if len(due) < free {
			r.pause(ctx, r.untilDue(ctx), true)
		}
	}
}

// untilDue is how long until the next subscription is due, at most Config.PollInterval. The lower bound keeps a difference
// between our clock and the database's, whose judgement counts, from becoming a busy loop.
func (r *Renewer) untilDue(ctx context.Context) time.Duration {
	next, any, err := r.store.NextSubscriptionDue(ctx)
	if err != nil || !any {
		return r.cfg.PollInterval
	}
	return min(max(time.Until(next), 10*time.Millisecond), r.cfg.PollInterval)
}

// pause waits for d, for the end of ctx, or, if wakeable, for a nudge.
func (r *Renewer) pause(ctx context.Context, d time.Duration, wakeable bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	wake := r.wake
	if !wakeable {
		wake = nil
	}
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}
