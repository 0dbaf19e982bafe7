package model

import "time"

// SubscriptionState is how a subscription stands.
type SubscriptionState string

// The states: written but not yet confirmed by Graph, alive, past its expiry or removed, and refused by Graph again and
// again.
const (
	SubscriptionPending SubscriptionState = "pending"
	SubscriptionActive  SubscriptionState = "active"
	SubscriptionExpired SubscriptionState = "expired"
	SubscriptionFailing SubscriptionState = "failing"
)

// SubscriptionStates lists every SubscriptionState, for metrics that exist from the start.
func SubscriptionStates() []SubscriptionState {
	return []SubscriptionState{SubscriptionActive, SubscriptionPending, SubscriptionExpired, SubscriptionFailing}
}

// Subscription is one mailbox's subscription to its own events, alive in Graph or on its way there. There is at most one
// row for a mailbox. A row is written before the create call, because the handshake and the first notifications come
// before Graph's 201.
type Subscription struct {
	Tenant string
	// Participant is the organizer whose mailbox it is.
	Participant string
	// Email is read with the row and belongs to the participant.
	Email string
	// MailboxID is the Entra object id; empty until resolved.
	MailboxID string
	// GraphID is Graph's id; empty while pending.
	GraphID     string
	ClientState string
	State       SubscriptionState
	// Reason is a word of a closed set that says why the state is failing; empty otherwise.
	Reason string
	// ExpiresAt is as Graph returned it; zero while pending.
	ExpiresAt time.Time
	// GrantedAt is when Graph granted that expiry; with ExpiresAt it gives the length of life.
	GrantedAt time.Time
	// ReauthorizedAt and RenewedAt keep the two calls ten minutes apart; zero when never done.
	ReauthorizedAt time.Time
	RenewedAt      time.Time
	// Lifecycle is a lifecycle event that has not been acted on; empty when there is none.
	Lifecycle LifecycleEvent
	// Silent says that the sweep found the mailbox changed without a notification: it must be created anew.
	Silent bool
	// Wanted is computed with each reading: does the participant organise an upcoming session?
	Wanted bool
	// Attempts counts failures in a row.
	Attempts int
	// DueAt is when somebody must look at it next.
	DueAt time.Time
}
