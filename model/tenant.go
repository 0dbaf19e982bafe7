package model

import "time"

// Method is how an organisation lets pairsync into its calendars.
type Method string

// The two ways in: an admin's consent for the whole tenant, or each person's own sign-in.
const (
	MethodDomainWide Method = "domain_wide"
	MethodPerUser    Method = "per_user"
)

// TenantStatus is how the connection to an organisation stands.
type TenantStatus string

// The statuses of a tenant.
const (
	TenantPendingConsent TenantStatus = "pending_consent"
	TenantConnected      TenantStatus = "connected"
	TenantFailing        TenantStatus = "failing"
	TenantDisconnected   TenantStatus = "disconnected"
)

// TenantStatuses lists every TenantStatus, for metrics that exist from the start.
func TenantStatuses() []TenantStatus {
	return []TenantStatus{TenantPendingConsent, TenantConnected, TenantFailing, TenantDisconnected}
}

// PolicyChoice is what happens to a change that was made in Outlook.
type PolicyChoice string

// The choices of a policy: apply it, ask the platform first, or only tell.
const (
	PolicyApply  PolicyChoice = "apply"
	PolicyAsk    PolicyChoice = "ask"
	PolicyNotify PolicyChoice = "notify"
)

// Policy says what happens to reschedules and cancellations that were made in Outlook. The zero value of a choice means
// PolicyApply.
type Policy struct {
	Reschedule PolicyChoice
	Cancel     PolicyChoice
}

// Tenant is an organisation, keyed by its Entra tenant id.
type Tenant struct {
	// ID is the Entra tenant id, lower case.
	ID           string
	Name         string
	OwnerEmail   string
	Method       Method
	CallbackURL  string
	Policy       Policy
	Status       TenantStatus
	StatusReason string
	// Callback is nil when there is no CallbackURL.
	Callback  *Callback
	CreatedAt time.Time
	UpdatedAt time.Time
}

// MailboxStatus is whether a participant's mailbox can be read.
type MailboxStatus string

// The statuses of a mailbox.
const (
	MailboxUnknown     MailboxStatus = "unknown"
	MailboxOK          MailboxStatus = "ok"
	MailboxUnreachable MailboxStatus = "unreachable"
	MailboxNeedsSignIn MailboxStatus = "needs_sign_in"
)

// MailboxStatuses lists every MailboxStatus, for metrics that exist from the start.
func MailboxStatuses() []MailboxStatus {
	return []MailboxStatus{MailboxUnknown, MailboxOK, MailboxUnreachable, MailboxNeedsSignIn}
}

// Availability is a weekly window in which a participant is ready to meet.
type Availability struct {
	// Days are lower-case English names, monday to sunday.
	Days []string `json:"days"`
	// From and To are local wall-clock times, HH:MM.
	From string `json:"from"`
	To   string `json:"to"`
	// TimeZone is an IANA name.
	TimeZone string `json:"time_zone"`
}

// Participant is a member of a mentoring programme and the owner of a mailbox.
type Participant struct {
	Tenant string
	// ID is the platform's own.
	ID           string
	Email        string
	Name         string
	Availability []Availability
	// MailboxID is the Entra object id of the mailbox's owner, lower case; empty until Graph resolved the address.
	MailboxID     string
	MailboxStatus MailboxStatus
	// MailboxReason is a word of a closed set (graph.Error's Reason), empty when the mailbox is well.
	MailboxReason string
	// Subscription is nil while the mailbox has none.
	Subscription *SubscriptionSummary
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// SubscriptionSummary is what the platform sees of a mailbox's subscription.
type SubscriptionSummary struct {
	ID        string
	ExpiresAt time.Time
}
