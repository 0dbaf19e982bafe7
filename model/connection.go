package model

import "time"

// GrantKind is what a grant ends.
type GrantKind string

// The kinds of grant: an admin's consent, and a person's own sign-in.
const (
	GrantConsent GrantKind = "consent"
	GrantConnect GrantKind = "connect"
)

// Grant is a redirect to Microsoft that is under way. It can be used once, until it expires.
type Grant struct {
	// Nonce is random and names the grant.
	Nonce  string
	Kind   GrantKind
	Tenant string
	// Participant is empty for a consent.
	Participant string
	// Verifier is the sealed PKCE verifier; nil when there is none.
	Verifier  []byte
	ExpiresAt time.Time
}

// IntegrationStatus is how a request for the integration was answered.
type IntegrationStatus string

// The statuses of an integration request.
const (
	IntegrationOpen     IntegrationStatus = "open"
	IntegrationApproved IntegrationStatus = "approved"
	IntegrationDeclined IntegrationStatus = "declined"
)

// IntegrationRequest is a person's wish that their organisation's admin enables the integration.
type IntegrationRequest struct {
	// ID is a random UUID.
	ID string
	// Number orders the list, oldest first; opaque outside this module.
	Number      int64
	Tenant      string
	Participant string
	Status      IntegrationStatus
	// Message is the person's, Answer the admin's; both may be empty.
	Message    string
	Answer     string
	CreatedAt  time.Time
	AnsweredAt *time.Time
}
