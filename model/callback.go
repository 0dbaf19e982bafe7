package model

import "time"

// CallbackStatus is how a tenant's receiver of callbacks stands.
type CallbackStatus string

// The statuses: changes are sent, or the receiver failed and is left alone for a while.
const (
	CallbackOK     CallbackStatus = "ok"
	CallbackPaused CallbackStatus = "paused"
)

// Callback is how the callbacks of a tenant that has a callback URL stand.
type Callback struct {
	Status CallbackStatus
	// Reason is a word that says why callbacks are paused; empty otherwise.
	Reason string
	// Queued is how many changes wait to be received.
	Queued int
}

// Delivery is a change that is to be sent to a tenant's receiver.
type Delivery struct {
	Tenant string
	URL    string
	// Secrets are sealed, the newest first. All of them sign.
	Secrets [][]byte
	Change  Change
	// Attempts is how often it was tried, and FirstTriedAt when first; zero when never.
	Attempts     int
	FirstTriedAt time.Time
	// PausedSince is since when the receiver is left alone, and this change the one with which it is tried; zero when it isn't.
	PausedSince time.Time
}
