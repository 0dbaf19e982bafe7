package simulator

import (
	"net/http"
	"slices"
	"strings"
)

// MailboxKind is how a mailbox is to be had through Graph.
type MailboxKind string

// The kinds of mailbox: fine, shut off by an application access policy, not enabled for REST, without a licence, on-premises,
// of a type that REST does not serve, none at all for the user, being moved between servers, full (reads still work), and of
// a user who was deleted.
const (
	MailboxOK           MailboxKind = "ok"
	MailboxAccessDenied MailboxKind = "access_denied"
	MailboxNotEnabled   MailboxKind = "not_enabled"
	MailboxUnlicensed   MailboxKind = "unlicensed"
	MailboxOnPremises   MailboxKind = "on_premises"
	MailboxNotSupported MailboxKind = "not_supported"
	MailboxNone         MailboxKind = "no_mailbox"
	MailboxMoving       MailboxKind = "moving"
	MailboxFull         MailboxKind = "full"
	MailboxDeleted      MailboxKind = "deleted"
)

func (k MailboxKind) valid() bool {
	return slices.Contains([]MailboxKind{
		MailboxOK, MailboxAccessDenied, MailboxNotEnabled, MailboxUnlicensed, MailboxOnPremises, MailboxNotSupported, MailboxNone,
		MailboxMoving, MailboxFull, MailboxDeleted,
	}, k)
}

// refusal is what Exchange answers for a mailbox of the kind; nil when it serves it, as it does to readers of a full one.
func (k MailboxKind) refusal() *graphError {
	switch k {
	case MailboxOK, MailboxFull:
		return nil
	case MailboxAccessDenied:
		return refuse(http.StatusForbidden, "ErrorAccessDenied", "Access to OData is disabled.")
	case MailboxNotEnabled:
		return refuse(http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "REST API is not yet supported for this mailbox.")
	case MailboxUnlicensed, MailboxOnPremises:
		return refuse(http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or is hosted on-premise.")
	case MailboxNotSupported:
		return refuse(http.StatusNotFound, "MailboxNotSupportedForRESTAPI", "REST API is not supported for this type of mailbox.")
	case MailboxNone:
		return refuse(http.StatusNotFound, "ResourceNotFound", "Resource could not be discovered.")
	case MailboxMoving:
		return refuse(http.StatusServiceUnavailable, "MailboxStoreUnavailable", "The mailbox is being moved. Please retry again later.")
	case MailboxDeleted:
		return refuse(http.StatusNotFound, "ErrorInvalidUser", "The requested user is invalid.")
	}
	return nil
}

// full is what Exchange answers to a write into a full mailbox.
func full() *graphError {
	return refuse(http.StatusInsufficientStorage, "ErrorQuotaExceeded", "Mailbox has exceeded maximum mailbox size.")
}

// freeBusyRefusal is what stands in place of somebody's busy times; empty codes stand for none. The codes are words of
// Exchange's or their numbers, as it happens.
func (k MailboxKind) freeBusyRefusal(address string) (code, message string) {
	switch k {
	case MailboxOK, MailboxFull, MailboxNotSupported:
	case MailboxAccessDenied:
		return "ErrorNoFreeBusyAccess", "The caller does not have access to the free/busy data of this mailbox."
	case MailboxOnPremises:
		return "ErrorProxyRequestProcessingFailed", "Proxy web request failed."
	case MailboxMoving:
		return "ErrorFreeBusyGenerationFailed", "Microsoft Exchange could not read the free/busy data of this mailbox."
	case MailboxNotEnabled, MailboxUnlicensed, MailboxNone, MailboxDeleted:
		return "5009", "Unable to resolve e-mail address " + address + " to an Active Directory object."
	}
	return "", ""
}

// watchRefusal is what stands in the way of a subscription to a mailbox; nil when nothing does. The operation is Create or
// Update, ref how the caller named the mailbox.
func (k MailboxKind) watchRefusal(operation, ref string) error {
	e := k.refusal()
	if e == nil {
		return nil
	}
	word, reason := strings.ReplaceAll(http.StatusText(e.status), " ", ""), e.message
	switch k {
	case MailboxDeleted:
		reason = "The requested user '" + ref + "' is invalid."
	case MailboxAccessDenied:
		reason = "Access denied"
	case MailboxMoving:
		reason = "Target resource '" + ref + "' hosted on database '" + newGUID() + "' is currently on backend 'Unknown'"
	case MailboxOK, MailboxFull, MailboxNotEnabled, MailboxUnlicensed, MailboxOnPremises, MailboxNotSupported, MailboxNone:
	}
	return extension(e.status, "Operation: %s; Exception: [Status Code: %s; Reason: %s]", operation, word, reason)
}
