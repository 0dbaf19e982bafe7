package model

import "time"

// ChangeType is what a Graph change notification says happened to the resource.
// https://learn.microsoft.com/graph/api/resources/changenotification
type ChangeType string

// The change types of Outlook events. Others are tolerated and carried as they came: Graph's enum is evolvable.
const (
	ChangeCreated ChangeType = "created"
	ChangeUpdated ChangeType = "updated"
	ChangeDeleted ChangeType = "deleted"
)

// LifecycleEvent is what a Graph lifecycle notification says happened to a subscription.
// https://learn.microsoft.com/graph/change-notifications-lifecycle-events
type LifecycleEvent string

// The lifecycle events that Outlook subscriptions send.
const (
	LifecycleReauthorizationRequired LifecycleEvent = "reauthorizationRequired"
	LifecycleSubscriptionRemoved     LifecycleEvent = "subscriptionRemoved"
	LifecycleMissed                  LifecycleEvent = "missed"
)

// Hint is one proven item of a change notification collection: a reason to look, never a fact to act on.
// Exactly one of EventID and Lifecycle is set.
type Hint struct {
	// Tenant is the Entra tenant id, lower case; proved by the clientState.
	Tenant string `json:"tenant"`
	// Mailbox is the Entra object id of the mailbox's owner, lower case; proved by the clientState.
	Mailbox string `json:"mailbox"`
	// SubscriptionID is Graph's id of the subscription that sent the item.
	SubscriptionID string `json:"subscription,omitempty"`
	// ChangeType is empty on lifecycle items.
	ChangeType ChangeType `json:"change_type,omitempty"`
	// Lifecycle is empty on change items.
	Lifecycle LifecycleEvent `json:"lifecycle,omitempty"`
	// EventID is the immutable, case-sensitive id of the event; empty on lifecycle items.
	EventID string `json:"event,omitempty"`
	// ChangeKey is the change key inside the item's @odata.etag (W/"<changeKey>"); empty when the item had none.
	ChangeKey string `json:"change_key,omitempty"`
	// ReceivedAt is when the door read the POST that carried the item.
	ReceivedAt time.Time `json:"received_at"`
}

// Confirmation is what became of one hint that was handed to JetStream.
type Confirmation uint8

// A hint is either not known to be durable, stored, or already stored by an earlier delivery.
const (
	Unconfirmed Confirmation = iota
	Stored
	Duplicate
)
