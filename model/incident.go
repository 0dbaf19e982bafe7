package model

import "time"

// IncidentScope is what is in trouble.
type IncidentScope string

// The scopes: a whole organisation, one mailbox, or the receiver of callbacks.
const (
	ScopeTenant   IncidentScope = "tenant"
	ScopeMailbox  IncidentScope = "mailbox"
	ScopeCallback IncidentScope = "callback"
)

// Incident is a time of trouble. The owner of the integration is told of it at most once when it begins and, if so, once
// when it is over.
type Incident struct {
	ID     int64
	Tenant string
	Scope  IncidentScope
	// Participant is the owner of the mailbox; empty for the other scopes.
	Participant string
	// Status is a TenantStatus, a MailboxStatus or a CallbackStatus, and Reason the word that came with it, as last known.
	Status   string
	Reason   string
	OpenedAt time.Time
	// ClosedAt is nil while the trouble lasts.
	ClosedAt *time.Time
}

// MailKind is what a letter tells.
type MailKind string

// The kinds of letter: trouble has begun, trouble is over, or a credential will expire.
const (
	MailOpened    MailKind = "opened"
	MailRecovered MailKind = "recovered"
	MailExpiry    MailKind = "expiry"
)

// Mail is a letter to the owner of a tenant's integration. It holds no address but the owner's.
type Mail struct {
	ID         int64
	Tenant     string
	TenantName string
	OwnerEmail string
	Kind       MailKind
	// Incidents are what the letter tells of, oldest first; none for MailExpiry.
	Incidents []Incident
	// Subject is what expires, at ExpiresAt, of which the owner is told Days ahead; for MailExpiry only.
	Subject   string
	ExpiresAt time.Time
	Days      int
	// Attempts is how often sending was tried and failed for certain.
	Attempts  int
	CreatedAt time.Time
}
