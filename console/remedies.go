package console

import (
	"context"
	"errors"

	"pairsync/internal/graph"
)

// step is a part of the way to a participant's calendar, in the order in which it is tried.
type step string

// The steps.
const (
	stepToken    step = "token"
	stepUser     step = "user"
	stepMailbox  step = "mailbox"
	stepRead     step = "read"
	stepFreeBusy step = "free_busy"
	stepDoor     step = "door"
)

// trouble is why a step failed and how that is mended.
type trouble struct {
	// Reason is a word of a closed set: graph's, or one of probe's for the door.
	Reason string
	Remedy string
}

// troubleOf says what an error of a step means to whoever has to mend it.
func troubleOf(err error, at step) trouble {
	if failure, ok := errors.AsType[*graph.Error](err); ok {
		return trouble{failure.Reason, remedy(failure.Reason, at)}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return trouble{graph.ReasonTimeout, remedy(graph.ReasonTimeout, at)}
	}
	return trouble{reasonNotTried, remedy(reasonNotTried, at)}
}

// reasonNotTried is a step that could not be tried because of another one.
const reasonNotTried = "not_tried"

// remedy says in plain words how a failure is mended, and by whom.
func remedy(reason string, at step) string {
	switch reason {
	case graph.ReasonAccessDenied:
		return "The mailbox is outside the application access policy or the RBAC scope that limits the application: an Exchange admin adds the person to the group or scope. It takes up to two hours to take effect."
	case graph.ReasonNoFreeBusyAccess:
		return "The person's free/busy times are not shared with the application: an Exchange admin checks the access policy or RBAC scope, and the calendar's default sharing."
	case graph.ReasonPermissionMissing, graph.ReasonTokenRejected:
		return "The consent is missing a permission or was withdrawn: an admin consents again with a new link (POST …/consent). Right after consenting it can take some minutes."
	case graph.ReasonConsentMissing, graph.ReasonAppNotInTenant:
		return "No admin of the organisation has consented yet, or the consent was withdrawn: an admin opens a new consent link (POST …/consent)."
	case graph.ReasonMailboxNotEnabled:
		return "The mailbox is not in Exchange Online: it has no licence, lies on-premises, or was deleted a short time ago. A Microsoft 365 admin assigns an Exchange Online licence or migrates the mailbox."
	case graph.ReasonMailboxNotSupported:
		return "This kind of mailbox can't be used through Graph, such as a group or archive mailbox: give the participant the address of a person's own mailbox."
	case graph.ReasonNoMailbox:
		return "The person has no mailbox: a Microsoft 365 admin assigns a licence with Exchange Online. A new mailbox takes some minutes."
	case graph.ReasonUserNotFound, graph.ReasonNotFound:
		if at == stepFreeBusy {
			return "Nobody with this address has free/busy times in the organisation: check the participant's e-mail address, and that the person has a mailbox with a licence for Exchange Online."
		}
		return "Nobody in the organisation has this address: check the participant's e-mail address, and that the account exists and belongs to this organisation."
	case graph.ReasonMailboxMoving:
		return "The mailbox is being moved: it works again by itself when the move is done."
	case graph.ReasonSignInRequired:
		return "The person has to sign in: give them a link to connect their calendar (POST …/participants/{participant}/connect)."
	case graph.ReasonSecretExpired, graph.ReasonSecretWrong:
		return "The application's client secret has expired or is wrong: whoever operates pairsync makes a new one in Entra and sets PAIRSYNC_CLIENT_SECRET."
	case graph.ReasonCredentialRefused, graph.ReasonCredentialUnreadable:
		return "Entra doesn't accept the application's credential: whoever operates pairsync checks PAIRSYNC_CLIENT_ID and the secret or certificate."
	case graph.ReasonAppDisabled:
		return "An admin of the organisation has disabled the application: they enable it under Enterprise applications in Entra."
	case graph.ReasonTenantNotFound:
		return "There is no organisation with this tenant id: check the id by which the platform keys it."
	case graph.ReasonThrottled:
		return "Microsoft asks for a pause: try again in a few minutes."
	case graph.ReasonQuotaExceeded:
		return "The mailbox is full: its owner or an admin makes room."
	case graph.ReasonTimeout, graph.ReasonNetwork, graph.ReasonServerError, graph.ReasonUnreadableAnswer, graph.ReasonCancelled:
		if at == stepToken {
			return "Microsoft's sign-in doesn't answer as it should: try again, and check from the server that PAIRSYNC_AUTHORITY_URL can be reached."
		}
		return "Microsoft Graph doesn't answer as it should: try again, and check from the server that PAIRSYNC_GRAPH_URL can be reached."
	case graph.ReasonTooManyEntries:
		return "The calendar has too many entries in this time to be read at once: ask for a shorter time."
	case reasonNotTried:
		return "Mend what is named for the others first, then try again."
	}
	return "Try again; if it stays so, whoever operates pairsync finds the reason in its log."
}
