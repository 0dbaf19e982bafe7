package graph

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Kind says what a failure means to whoever made the call.
type Kind string

// The kinds of failure.
const (
	// KindNotFound: the mailbox is well, the thing asked for is not there (or not yet).
	KindNotFound Kind = "not_found"
	// KindMailbox: this mailbox can't be used: no access, no such user, not in the cloud.
	KindMailbox Kind = "mailbox"
	// KindSignIn: a person has to sign in again.
	KindSignIn Kind = "sign_in"
	// KindTenant: no token for the whole organisation: its consent or our credential is missing.
	KindTenant Kind = "tenant"
	// KindThrottled: wait RetryAfter, for this mailbox.
	KindThrottled Kind = "throttled"
	// KindUnavailable: Graph, Entra or the network is ill, or too slow.
	KindUnavailable Kind = "unavailable"
	// KindConflict: what was to be made exists already.
	KindConflict Kind = "conflict"
	// KindPrecondition: the thing changed since it was read.
	KindPrecondition Kind = "precondition"
	// KindGone: a sync state is lost.
	KindGone Kind = "gone"
	// KindLifetime: the expiry asked for is too far ahead; MaxLifetime says what is allowed, if Graph said.
	KindLifetime Kind = "lifetime"
	// KindHandshake: Graph could not reach our own webhook to validate it.
	KindHandshake Kind = "handshake"
	// KindQuota: the mailbox or its number of subscriptions is full.
	KindQuota Kind = "quota"
	// KindInvalid: Graph does not accept the request, or we can't read the answer: a bug on one side.
	KindInvalid Kind = "invalid"
)

// Error is a call that failed. Its text holds no message of Graph's, no address and no id but Graph's request-id.
type Error struct {
	Kind Kind
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Code is Graph's or Entra's own code, as it came.
	Code string
	// Reason is a word of a closed set (the Reason constants), fit for a label and for a status shown to people.
	Reason string
	// RequestID is Graph's request-id, for their support.
	RequestID string
	// RetryAfter is how long we were told to wait; 0 when we were not.
	RetryAfter time.Duration
	// MaxLifetime is set on KindLifetime when Graph named it.
	MaxLifetime time.Duration
	// Operation is the call that failed.
	Operation string

	cause error
	// existing is the id of the event that a transaction has booked before, where Graph names it.
	existing string
}

// Error says which call failed, how, and Graph's request-id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("graph ")
	b.WriteString(e.Operation)
	b.WriteString(": ")
	b.WriteString(string(e.Kind))
	if e.Reason != "" && e.Reason != string(e.Kind) {
		b.WriteString(" (" + e.Reason + ")")
	}
	if e.Status != 0 {
		b.WriteString(", status " + strconv.Itoa(e.Status))
	}
	if e.RequestID != "" {
		b.WriteString(", request-id " + e.RequestID)
	}
	return b.String()
}

// Unwrap gives what failed below, where that was an error of Go's: context.Canceled for one.
func (e *Error) Unwrap() error { return e.cause }

// KindOf is the kind of err, and empty when err is nil or did not come from this package.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}
