package workers

import (
	"pairsync/internal/callback"
	"pairsync/internal/graph"
	"pairsync/model"
)

// words are what a reason means to people: what happened, and how it is mended and by whom.
type words struct {
	what, remedy string
}

// wordsFor puts a reason into words. One that is not in the tables, which a newer version may have written, is named as it is.
func wordsFor(scope model.IncidentScope, reason string) words {
	table := graphWords()
	if scope == model.ScopeCallback {
		table = callbackWords()
	}
	if w, ok := table[reason]; ok {
		return w
	}
	return words{
		"the reason given is \"" + reason + "\".",
		"run the connection test of pairsync (POST /v1/tenants/{tenant}/test): it names what fails and how to mend it.",
	}
}

// graphWords are those of graph's reasons that last until somebody mends them.
func graphWords() map[string]words {
	const (
		consentAgain = "an administrator of the organisation opens a consent link (POST /v1/tenants/{tenant}/consent makes one) and accepts. " +
			"It can take some minutes until Microsoft knows of it everywhere."
		credential = "whoever operates pairsync looks at the application in Entra (App registrations, Certificates & secrets) and gives " +
			"pairsync a credential that is valid (PAIRSYNC_CLIENT_SECRET or PAIRSYNC_CLIENT_CERTIFICATE_FILE)."
	)
	return map[string]words{
		graph.ReasonConsentMissing: {"the organisation's consent to the application is missing or was withdrawn.", consentAgain},
		graph.ReasonAppNotInTenant: {"the application is not known in the organisation: nobody has consented yet, or it was deleted there.", consentAgain},
		graph.ReasonPermissionMissing: {
			"the application lacks a permission that it needs: the consent is older than what it asks for, or was reduced.",
			consentAgain,
		},
		graph.ReasonTokenRejected: {"Microsoft does not accept the application's access for this call.", consentAgain},
		graph.ReasonAppDisabled: {
			"the application was disabled.",
			"an administrator of the organisation enables it in Entra, under Enterprise applications, Properties: \"Enabled for users to sign in\".",
		},
		graph.ReasonTenantNotFound: {
			"Microsoft knows no organisation with this tenant id.",
			"check the id under which the platform registered the organisation: it is the directory (tenant) id in Entra's overview.",
		},
		graph.ReasonSecretExpired:     {"the application's client secret has expired.", credential},
		graph.ReasonSecretWrong:       {"the application's client secret is wrong.", credential},
		graph.ReasonCredentialRefused: {"Microsoft does not accept the application's credential.", credential},
		graph.ReasonCredentialUnreadable: {
			"the file that holds the application's credential can't be read.",
			"whoever operates pairsync checks the file that PAIRSYNC_CLIENT_CERTIFICATE_FILE or AZURE_FEDERATED_TOKEN_FILE names, and who may read it.",
		},
		graph.ReasonAccessDenied: {
			"the application has no access to the mailbox: it is outside the application access policy or the RBAC scope.",
			"an Exchange administrator adds the person to the group or scope that limits the application. It can take two hours to take effect.",
		},
		graph.ReasonMailboxNotEnabled: {
			"the mailbox is not in Exchange Online: it has no licence, lies on-premises, or was deleted a short time ago.",
			"a Microsoft 365 administrator assigns a licence with Exchange Online, or migrates the mailbox.",
		},
		graph.ReasonMailboxNotSupported: {
			"this kind of mailbox can't be used, for example that of a group or an archive.",
			"give the participant the address of a person's own mailbox.",
		},
		graph.ReasonNoMailbox: {
			"the person has no mailbox.",
			"a Microsoft 365 administrator assigns a licence with Exchange Online. A new mailbox takes some minutes.",
		},
		graph.ReasonUserNotFound: {
			"nobody in the organisation has the participant's address.",
			"check the participant's address on the platform, and that the account exists and belongs to this organisation.",
		},
		graph.ReasonNotFound: {
			"nobody in the organisation has the participant's address.",
			"check the participant's address on the platform, and that the account exists and belongs to this organisation.",
		},
		graph.ReasonMailboxMoving: {"the mailbox is being moved.", "nothing to do: it works again by itself when the move is done."},
		graph.ReasonSignInRequired: {
			"the person's sign-in is no longer valid: a password was reset, access was withdrawn, or a rule asks for a new sign-in.",
			"the person opens a link to connect their calendar again " +
				"(POST /v1/tenants/{tenant}/participants/{participant}/connect makes one) and signs in.",
		},
		graph.ReasonQuotaExceeded: {"the mailbox is full.", "its owner or an administrator makes room."},
	}
}

// callbackWords are those of the reasons for which a receiver does not take changes.
func callbackWords() map[string]words {
	const mendIt = "whoever operates the platform looks into the receiver at the tenant's callback_url. "
	return map[string]words{
		string(callback.ReasonBadURL): {
			"the callback_url is not one that can be called.",
			"set a callback_url that begins with https:// (PUT /v1/tenants/{tenant}).",
		},
		string(callback.ReasonUnsigned): {
			"there is no secret with which changes could be signed.",
			"make a new one (POST /v1/tenants/{tenant}/callback-secret) and give it to the receiver.",
		},
		string(callback.ReasonAddressRefused): {
			"the receiver's name leads to an address that is not on the public internet, and such are not called.",
			"set a callback_url that can be reached from the internet, or have whoever operates pairsync allow private addresses (PAIRSYNC_CALLBACK_ALLOW_PRIVATE).",
		},
		string(callback.ReasonNameUnknown): {
			"the receiver's name can't be resolved.",
			"check the name in the callback_url, and its DNS entry.",
		},
		string(callback.ReasonTLS): {
			"the receiver's certificate is not accepted: it has expired, is for another name, or is signed by somebody unknown.",
			mendIt + "It needs a valid certificate with its whole chain.",
		},
		string(callback.ReasonNetwork):    {"no connection to the receiver comes about.", mendIt + "Is it running, and does a firewall let pairsync in?"},
		string(callback.ReasonTimeout):    {"the receiver does not answer within ten seconds.", mendIt + "It should answer at once and do its work afterwards."},
		string(callback.ReasonRedirected): {"the receiver answers with a redirect, which is not followed.", "set the callback_url to where the redirect leads."},
		string(callback.ReasonGone): {
			"the receiver answered 410: it wants no more changes.",
			"set another callback_url, or an empty one if changes are not wanted any more (PUT /v1/tenants/{tenant}). An answer of 2xx resumes by itself, which can take some hours.",
		},
		string(callback.ReasonThrottled):   {"the receiver answers 429: it gets more than it wants.", mendIt + "It has to take a tenant's changes as fast as they come."},
		string(callback.ReasonRejected):    {"the receiver answers with an error of the kind 4xx.", mendIt + "Does it know the tenant, the path, and both of the newest secrets?"},
		string(callback.ReasonServerError): {"the receiver answers with an error of its own.", mendIt + "Its log will say why."},
	}
}
