package model

import (
	"errors"
	"strings"
)

// ErrNotFound says that a tenant, participant or session doesn't exist. A *MissingError that names it wraps this.
var ErrNotFound = errors.New("not found")

// ErrConflict says that an Outlook event is already linked to another session.
var ErrConflict = errors.New("event is linked to another session")

// ErrCancelled says that a session is cancelled and can't be asked to be otherwise: the platform books a new one.
var ErrCancelled = errors.New("session is cancelled")

// ErrSettled says that something which waited for an answer has had another one.
var ErrSettled = errors.New("was answered otherwise")

// ErrClaimed says that somebody else has claimed the same.
var ErrClaimed = errors.New("claimed by somebody else")

// ErrNotSupported says that a session was asked to change in a way that pairsync can't carry out in Outlook. A
// *NotSupportedError that names the fields wraps this.
var ErrNotSupported = errors.New("change is not supported")

// Things that a MissingError can name.
const (
	ThingTenant       = "tenant"
	ThingParticipant  = "participant"
	ThingSession      = "session"
	ThingSubscription = "subscription"
	ThingPending      = "pending change"
	ThingGrant        = "grant"
	ThingRefreshToken = "refresh token"

	ThingIntegrationRequest = "integration request"
)

// MissingError names what was not found.
type MissingError struct {
	// Thing is one of the Thing constants.
	Thing string
	// ID is the platform's id of it.
	ID string
}

// Error implements error.
func (e *MissingError) Error() string { return e.Thing + " " + e.ID + " not found" }

// Unwrap makes the error an ErrNotFound.
func (e *MissingError) Unwrap() error { return ErrNotFound }

// NotSupportedError names what a request would change that can't be changed.
type NotSupportedError struct {
	// Fields are names of the platform API, such as starts_at or outlook.event_id.
	Fields []string
}

// Error implements error.
func (e *NotSupportedError) Error() string {
	return "changing " + strings.Join(e.Fields, ", ") + " is not supported"
}

// Unwrap makes the error an ErrNotSupported.
func (e *NotSupportedError) Unwrap() error { return ErrNotSupported }
