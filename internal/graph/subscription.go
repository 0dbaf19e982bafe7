package graph

import "time"

// SubscriptionRequest is a subscription to make.
type SubscriptionRequest struct {
	// MailboxID is the Entra object id of the mailbox's owner. An address would work until it has an apostrophe in it.
	MailboxID       string
	NotificationURL string
	// LifecycleURL can't be added later.
	LifecycleURL string
	// ClientState is at most 128 characters.
	ClientState string
	ExpiresAt   time.Time
}

// Subscription is a subscription as Graph has it.
// https://learn.microsoft.com/graph/api/resources/subscription
type Subscription struct {
	ID string
	// Resource is a path like users/{id}/events.
	Resource string
	// ClientState is empty where Graph leaves it out, as lists often do.
	ClientState     string
	NotificationURL string
	ExpiresAt       time.Time
}
