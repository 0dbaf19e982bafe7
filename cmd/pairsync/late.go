package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// late is something that a process begins without and gets later: a connection, or what stands on one. Many may wait for it.
type late[T any] struct {
	ready chan struct{}

	mu    sync.Mutex
	value T
	why   error
}

func newLate[T any]() *late[T] {
	return &late[T]{ready: make(chan struct{}), why: errors.New("is being connected to")}
}

// set hands the value out; it must be called once at most.
func (l *late[T]) set(value T) {
	l.mu.Lock()
	l.value, l.why = value, nil
	l.mu.Unlock()
	close(l.ready)
}

// missing notes why there is no value yet.
func (l *late[T]) missing(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
}

// get returns the value, or why there is none yet.
func (l *late[T]) get() (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value, l.why
}

// wait blocks until there is a value or ctx has ended.
func (l *late[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-l.ready:
		return l.get()
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// The pauses of persist: the first one, and the one that they grow to.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// hopelessError is a failure that no waiting cures.
type hopelessError struct{ cause error }

// Error returns the cause's text.
func (e *hopelessError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *hopelessError) Unwrap() error { return e.cause }

// persist calls try until it succeeds, with growing pauses, or ctx has ended, or the failure is a hopelessError. Every
// failure is handed to missing; the log has a line whenever the reason changes, and one when it worked after all.
func persist[T any](ctx context.Context, log *slog.Logger, what string, missing func(error), try func(context.Context) (T, error)) (T, error) {
	var last string
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		value, err := try(ctx)
		if err == nil {
			if last != "" {
				log.InfoContext(ctx, "part available", slog.String("part", what))
			}
			return value, nil
		}
		if ctx.Err() != nil {
			return value, ctx.Err()
		}
		missing(err)
		if _, hopeless := errors.AsType[*hopelessError](err); hopeless {
			return value, err
		}
		if err.Error() != last {
			log.WarnContext(ctx, "part not available, trying again", slog.String("part", what), slog.Any("error", err))
			last = err.Error()
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return value, ctx.Err()
		}
	}
}
