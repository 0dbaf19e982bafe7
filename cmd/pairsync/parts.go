package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// lastResort is what a step of stopping gets at least.
const lastResort = time.Second

// parts is a stack of the running parts of a process. Parts are started one after another and ended in the reverse order,
// so that a part can count on everything that was started before it.
type parts struct {
	log    *slog.Logger
	failed chan error
	undo   []undo
}

// undo ends one part.
type undo struct {
	name string
	// grace is how long it may take.
	grace time.Duration
	do    func(ctx context.Context) error
}

func newParts(log *slog.Logger) *parts { return &parts{log: log, failed: make(chan error, 1)} }

// onStop puts a step on the stack. The step's context ends after its grace.
func (p *parts) onStop(name string, grace time.Duration, do func(ctx context.Context) error) {
	p.undo = append(p.undo, undo{name, grace, do})
}

// start runs a part on a context of its own, which ends when it is the part's turn to stop. A part that returns before
// that takes the process with it. Grace is how long it may take to finish its work in hand.
func (p *parts) start(ctx context.Context, name string, grace time.Duration, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			p.fail(fmt.Errorf("%s: %w", name, err))
		}
		done <- err
	}()
	p.onStop(name, grace, func(stopCtx context.Context) error {
		cancel()
		select {
		case err := <-done:
			if errors.Is(err, context.Canceled) {
				return nil // It was still waiting for something when it was asked to end.
			}
			return err
		case <-stopCtx.Done():
			return errors.New("did not end in time")
		}
	})
}

// fail ends the process; only the first failure counts.
func (p *parts) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// wait blocks until ctx ends, which is no error, or a part has failed.
func (p *parts) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// stop ends everything in reverse order, whether or not ctx has ended, and returns what did not end well. After total the
// steps that are left get lastResort each, whatever their grace. It may be called again: then there is nothing left to do.
func (p *parts) stop(ctx context.Context, total time.Duration) error {
	var errs []error
	deadline := time.Now().Add(total)
	for len(p.undo) > 0 {
		last := p.undo[len(p.undo)-1]
		p.undo = p.undo[:len(p.undo)-1]
		last.grace = min(last.grace, max(time.Until(deadline), lastResort))
		if err := last.run(context.WithoutCancel(ctx)); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", last.name, err))
			continue
		}
		p.log.DebugContext(ctx, "part stopped", slog.String("part", last.name))
	}
	return errors.Join(errs...)
}

func (u undo) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, u.grace)
	defer cancel()
	return u.do(ctx)
}
