package graph

// The words of Error.Reason. They are shown to people as status_reason and are never anything but these.
const (
	ReasonNotFound             = "not_found"
	ReasonAccessDenied         = "access_denied"
	ReasonPermissionMissing    = "permission_missing"
	ReasonTokenRejected        = "token_rejected"
	ReasonMailboxNotEnabled    = "mailbox_not_enabled"
	ReasonMailboxNotSupported  = "mailbox_not_supported"
	ReasonNoMailbox            = "no_mailbox"
	ReasonUserNotFound         = "user_not_found"
	ReasonMailboxMoving        = "mailbox_moving"
	ReasonSignInRequired       = "sign_in_required"
	ReasonConsentMissing       = "consent_missing"
	ReasonSecretWrong          = "secret_wrong"
	ReasonSecretExpired        = "secret_expired"
	ReasonCredentialRefused    = "credential_refused"    //nolint:gosec // G101: a word about credentials, none itself.
	ReasonCredentialUnreadable = "credential_unreadable" //nolint:gosec // G101: a word about credentials, none itself.
	ReasonAppNotInTenant       = "app_not_in_tenant"
	ReasonAppDisabled          = "app_disabled"
	ReasonTenantNotFound       = "tenant_not_found"
	ReasonThrottled            = "throttled"
	ReasonServerError          = "server_error"
	ReasonTimeout              = "timeout"
	ReasonNetwork              = "network"
	ReasonCancelled            = "cancelled"
	ReasonUnreadableAnswer     = "unreadable_answer"
	ReasonExistsAlready        = "exists_already"
	ReasonBookedAlready        = "booked_already"
	ReasonNoFreeBusyAccess     = "no_free_busy_access"
	ReasonTooManyEntries       = "too_many_entries"
	ReasonChangedMeanwhile     = "changed_meanwhile"
	ReasonSyncStateLost        = "sync_state_lost"
	ReasonLifetimeTooLong      = "lifetime_too_long"
	ReasonHandshakeFailed      = "handshake_failed"
	ReasonQuotaExceeded        = "quota_exceeded"
	ReasonInvalidRequest       = "invalid_request"
)
