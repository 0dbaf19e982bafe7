package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"pairsync/internal/graph"
	"pairsync/model"
)

// maxCode is the longest authorization code that is handed on, in bytes.
const maxCode = 8 << 10

// openConnect makes a link at which a participant lets pairsync into their own calendar.
func (c *Console) openConnect(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	id, err := idOf(r, "participant")
	if err != nil {
		return err
	}
	if err := c.readNothing(w, r); err != nil {
		return err
	}
	participant, err := c.store.Participant(r.Context(), tenant.ID, id)
	if errors.Is(err, model.ErrNotFound) {
		return notFound("participant", id)
	}
	if err != nil {
		return fmt.Errorf("reading the participant: %w", err)
	}
	if tenant.Method != model.MethodPerUser {
		return newProblem(kindConflict, "the tenant's method is domain_wide: an admin connects everybody at once, at …/consent")
	}
	verifier := oauth2.GenerateVerifier()
	sealed, err := c.sealer.Seal(model.PurposeVerifier, []byte(verifier))
	if err != nil {
		return fmt.Errorf("sealing the verifier: %w", err)
	}
	now := time.Now()
	state, err := c.openGrant(r.Context(), model.Grant{
		Kind: model.GrantConnect, Tenant: tenant.ID, Participant: participant.ID, Verifier: sealed,
	}, now)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, link{
		URL: c.signIn.AuthorizeURL(graph.AuthorizeRequest{
			Tenant: tenant.ID, RedirectURL: c.redirect(ConnectCallbackPath), State: state, Verifier: verifier, LoginHint: participant.Email,
		}),
		ExpiresAt: now.Add(grantLifetime).UTC().Truncate(time.Second),
	})
}

// finishConnect ends a person's sign-in. Nothing in the query is believed: an error is said first, the state must be one of
// ours and unused, and who signed in is what the token endpoint says to the code.
func (c *Console) finishConnect(r *http.Request) notice {
	ctx, cancel := context.WithTimeout(r.Context(), min(c.cfg.RequestTimeout, callbackTimeout))
	defer cancel()
	query := r.URL.Query()
	if query.Has("error") {
		return signInRefused(firstOf(query, "error", 64), strings.Contains(firstOf(query, "error_description", 4096), "AADSTS9009"))
	}
	given, err := c.readState(firstOf(query, "state", maxState), model.GrantConnect, time.Now())
	if err != nil {
		return c.badState(ctx, err)
	}
	code := firstOf(query, "code", maxCode)
	if code == "" {
		return c.badState(ctx, errBadState)
	}
	grant, err := c.useGrant(ctx, given)
	if err != nil {
		return c.badState(ctx, err)
	}
	participant, err := c.store.Participant(ctx, grant.Tenant, grant.Participant)
	if err != nil {
		return c.ownTrouble(ctx, fmt.Errorf("reading the participant: %w", err))
	}
	verifier, err := c.sealer.Open(model.PurposeVerifier, grant.Verifier)
	if err != nil {
		return c.ownTrouble(ctx, fmt.Errorf("opening the verifier: %w", err))
	}
	person, err := c.signIn.ExchangeCode(ctx, graph.CodeExchange{
		Tenant: grant.Tenant, RedirectURL: c.redirect(ConnectCallbackPath), Verifier: string(verifier), Code: code,
	})
	if err != nil {
		return c.signInFailed(ctx, err)
	}
	if !owns(person, participant) {
		return anotherPerson(participant.Email)
	}
	if missing := missingScopes(person.Scopes); len(missing) > 0 {
		return signInRefused("consent_required", false)
	}
	if err := c.keepSignIn(ctx, participant, person); err != nil {
		return c.ownTrouble(ctx, err)
	}
	return notice{
		status: http.StatusOK, Tone: toneDone, Title: "Your calendar is connected",
		Text:  []string{"Your mentoring sessions and your Outlook calendar are kept in step from now on. pairsync reads and changes the meetings of your mentoring sessions only."},
		Steps: []string{"Go back to your mentoring platform; you can close this page.", "To end the connection, take the permission back at myaccount.microsoft.com, under Apps."},
	}
}

// owns says whether whoever signed in is the owner of the participant's mailbox. That the person belongs to the organisation
// was proved by its token endpoint, so the name, which only the organisation's admins can give, counts.
func owns(person graph.SignIn, p model.Participant) bool {
	if isGUID(p.Tenant) && !strings.EqualFold(person.Tenant, p.Tenant) {
		return false
	}
	if person.User == "" {
		return false
	}
	return strings.EqualFold(person.User, p.MailboxID) || person.Name != "" && strings.EqualFold(person.Name, p.Email)
}

// missingScopes are what a person had to allow and didn't. Entra names scopes of Graph with or without its address.
func missingScopes(granted []string) []string {
	var missing []string
	for _, need := range []string{"Calendars.ReadWrite", "MailboxSettings.Read"} {
		found := len(granted) == 0 // Nothing said: what was asked for, RFC 6749 section 5.1.
		for _, scope := range granted {
			found = found || strings.EqualFold(scope[strings.LastIndexByte(scope, '/')+1:], need)
		}
		if !found {
			missing = append(missing, need)
		}
	}
	return missing
}

// keepSignIn stores what a sign-in brought. The mailbox is well last, since that is what makes its sessions due.
func (c *Console) keepSignIn(ctx context.Context, p model.Participant, person graph.SignIn) error {
	sealed, err := c.sealer.Seal(model.PurposeRefreshToken, []byte(person.RefreshToken))
	if err != nil {
		return fmt.Errorf("sealing the refresh token: %w", err)
	}
	if _, err := c.store.SaveRefreshToken(ctx, p.Tenant, p.ID, sealed, 0); err != nil {
		return fmt.Errorf("keeping the refresh token: %w", err)
	}
	if err := c.store.SetMailboxID(ctx, p.Tenant, p.ID, person.User); err != nil {
		return fmt.Errorf("noting whose mailbox it is: %w", err)
	}
	if _, err := c.store.SetTenantStatus(ctx, p.Tenant, model.TenantConnected, ""); err != nil {
		return fmt.Errorf("noting that somebody is connected: %w", err)
	}
	if _, err := c.store.MailboxHealed(ctx, p.Tenant, p.ID); err != nil {
		return fmt.Errorf("noting that the mailbox is well: %w", err)
	}
	return nil
}

// signInRefused says what an error means that Microsoft sent a person back with. admin says that only an admin can allow it.
func signInRefused(code string, admin bool) notice {
	n := notice{
		status: http.StatusForbidden, Tone: toneFailed, Title: "Your calendar was not connected",
		Text:  []string{"Microsoft reports that the sign-in was not completed. Nothing has changed."},
		Steps: []string{"Ask for a new link in your mentoring platform, sign in with the account of your work calendar, and accept."},
	}
	switch {
	case admin, code == "admin_consent_required":
		n.Title = "Your organisation's admin has to allow this"
		n.Text[0] = "In your organisation only an admin may let an application into calendars. Nothing has changed."
		n.Steps = []string{"Ask in your mentoring platform for the integration to be enabled: your organisation's admin then sees the request.", "When the admin has answered, ask for a new link."}
	case code == "access_denied", code == "consent_required":
		n.Text[0] = "The permissions that pairsync needs, your calendar and your mailbox settings, were not given. Nothing has changed."
	case code == "temporarily_unavailable", code == "server_error":
		n.Text[0] = "Microsoft's sign-in has a disturbance. Nothing has changed."
		n.Steps = []string{"Wait some minutes, then ask for a new link in your mentoring platform."}
	}
	return n
}

// signInFailed says why a code brought no tokens.
func (c *Console) signInFailed(ctx context.Context, err error) notice {
	if graph.KindOf(err) == graph.KindSignIn {
		failure, _ := errors.AsType[*graph.Error](err)
		if failure != nil && failure.Reason == graph.ReasonConsentMissing {
			return signInRefused("consent_required", false)
		}
		return notice{
			status: http.StatusBadRequest, Tone: toneFailed, Title: "The sign-in took too long",
			Text:  []string{"Microsoft no longer accepts what it sent you back with. Nothing has changed."},
			Steps: []string{"Ask for a new link in your mentoring platform and sign in again."},
		}
	}
	c.log.LogAttrs(ctx, slog.LevelWarn, "a sign-in could not be finished", slog.Any("error", err))
	return notice{
		status: http.StatusBadGateway, Tone: toneWait, Title: "Your calendar is not connected yet",
		Text:  []string{"Microsoft doesn't give pairsync access just now. " + troubleOf(err, stepToken).Remedy},
		Steps: []string{"Then ask for a new link in your mentoring platform and sign in again."},
	}
}

// anotherPerson is for somebody who signed in with an account that the participant's mailbox doesn't belong to. Whoever
// has the link is told which account is meant, but not the whole address.
func anotherPerson(email string) notice {
	return notice{
		status: http.StatusForbidden, Tone: toneFailed, Title: "You signed in with another account",
		Text: []string{"This link is for the calendar of " + masked(email) + ", and the account that you signed in with is not its owner. Nothing has changed."},
		Steps: []string{
			"Ask for a new link in your mentoring platform, choose “Use another account” at Microsoft, and sign in with that address.",
			"If you sign in with another name than your e-mail address, have the platform use the name that you sign in with.",
		},
	}
}

// masked shows the first letter and the domain of an address.
func masked(email string) string {
	name, domain, found := strings.Cut(email, "@")
	if !found || name == "" {
		return "another person"
	}
	return string([]rune(name)[:1]) + "…@" + domain
}
