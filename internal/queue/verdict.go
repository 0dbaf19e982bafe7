package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Reasons for which this package gives a message up. Handlers give their own to Drop.
const (
	ReasonMalformed = "malformed"
	ReasonExhausted = "attempts_exhausted"
)

// retryError is a handler's "later, as told".
type retryError struct {
	after time.Duration
	err   error
}

func (e *retryError) Error() string { return fmt.Sprintf("again in %v: %v", e.after, e.err) }

func (e *retryError) Unwrap() error { return e.err }

// dropError is a handler's "never".
type dropError struct {
	reason string
	err    error
}

func (e *dropError) Error() string { return fmt.Sprintf("given up (%s): %v", e.reason, e.err) }

func (e *dropError) Unwrap() error { return e.err }

// RetryAfter wraps a handler's error: the messages come again after d, however often, and it never counts as a failure.
// For what heals by itself, and for those who said how long to wait. A d below 100 ms is taken for 100 ms.
func RetryAfter(d time.Duration, err error) error { return &retryError{after: d, err: err} }

// Drop wraps a handler's error: the messages go to the dead letters with the reason, a word of a closed set.
func Drop(reason string, err error) error { return &dropError{reason: reason, err: err} }

// verdict is what is to become of a group's messages.
type verdict uint8

const (
	verdictDone verdict = iota
	verdictLater
	verdictFailed
	verdictDead
	// verdictReturned is for messages that were taken but not begun or not finished when the process ended.
	verdictReturned
)

func (v verdict) String() string {
	return [...]string{"done", "later", "failed", "dead", "returned"}[v]
}

// verdicts lists every verdict, for metrics that exist from the start.
func verdicts() []verdict {
	return []verdict{verdictDone, verdictLater, verdictFailed, verdictDead, verdictReturned}
}

// decision is a verdict with its particulars.
type decision struct {
	verdict verdict
	after   time.Duration
	reason  string
	err     error
}

const shortestDelay = 100 * time.Millisecond

// decide is the one place where a handler's error becomes a verdict. soFar is how often the group's messages have failed
// before; cut says that the handler's context was ended under it, so that its error says nothing about the message.
func decide(err error, soFar int, limits ConsumerConfig, cut bool) decision {
	later, isLater := errors.AsType[*retryError](err)
	dead, isDead := errors.AsType[*dropError](err)
	switch {
	case err == nil:
		return decision{verdict: verdictDone}
	case isDead:
		return decision{verdict: verdictDead, reason: dead.reason, err: err}
	case isLater:
		return decision{verdict: verdictLater, after: max(later.after, shortestDelay), err: err}
	case cut:
		return decision{verdict: verdictReturned, err: err}
	case soFar+1 >= limits.MaxAttempts:
		return decision{verdict: verdictDead, reason: ReasonExhausted, err: err}
	default:
		return decision{verdict: verdictFailed, after: backoff(soFar, limits.RetryMin, limits.RetryMax), err: err}
	}
}

// backoff doubles from shortest to longest, less up to a quarter, so that what failed together doesn't come together.
func backoff(soFar int, shortest, longest time.Duration) time.Duration {
	d := longest
	if soFar < 20 { // A minute doubled twenty times still fits, and is longer than anybody waits.
		d = min(longest, shortest<<soFar)
	}
	return d - rand.N(d/4+1)
}
