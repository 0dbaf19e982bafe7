package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// link is the answer to a request for a link to Microsoft.
type link struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// openConsent makes a link at which an organisation's admin consents for all of it.
func (c *Console) openConsent(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	if err := c.readNothing(w, r); err != nil {
		return err
	}
	if tenant.Method != model.MethodDomainWide {
		return newProblem(kindConflict, "the tenant's method is per_user: people connect their own calendars, at …/participants/{participant}/connect")
	}
	now := time.Now()
	state, err := c.openGrant(r.Context(), model.Grant{Kind: model.GrantConsent, Tenant: tenant.ID}, now)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, link{
		URL:       c.signIn.ConsentURL(tenant.ID, state, c.redirect(ConsentCallbackPath)),
		ExpiresAt: now.Add(grantLifetime).UTC().Truncate(time.Second),
	})
}

// redirect is where Microsoft sends browsers back to; it has to be registered with the application just so.
func (c *Console) redirect(path string) string { return c.cfg.PublicURL.JoinPath(path).String() }

// consentPermissions are the application permissions that pairsync needs of an organisation: of each row one, of which the
// first is the least that works.
// https://learn.microsoft.com/graph/permissions-reference
func consentPermissions() [][]string {
	return [][]string{
		{"Calendars.ReadWrite"},
		{"MailboxSettings.Read", "MailboxSettings.ReadWrite"},
		{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"},
	}
}

// finishConsent ends an admin's way to Microsoft and back. Nothing in the query is believed: an error is said first, the
// state must be one of ours and unused, and whether there is a consent is found out by getting a token for the organisation.
// https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
func (c *Console) finishConsent(r *http.Request) notice {
	ctx, cancel := context.WithTimeout(r.Context(), min(c.cfg.RequestTimeout, callbackTimeout))
	defer cancel()
	query := r.URL.Query()
	// Of a consent that was refused, Entra says admin_consent=True all the same.
	if query.Has("error") {
		return consentRefused(firstOf(query, "error", 64))
	}
	given, err := c.readState(firstOf(query, "state", maxState), model.GrantConsent, time.Now())
	if err == nil {
		var grant model.Grant
		if grant, err = c.useGrant(ctx, given); err == nil {
			return c.proveConsent(ctx, grant)
		}
	}
	return c.badState(ctx, err)
}

// proveConsent gets a token for the organisation and notes that it is connected.
func (c *Console) proveConsent(ctx context.Context, grant model.Grant) notice {
	tenant, err := c.store.Tenant(ctx, grant.Tenant)
	if err != nil {
		return c.ownTrouble(ctx, fmt.Errorf("reading the tenant: %w", err))
	}
	tid, roles, err := c.awaitConsent(ctx, grant.Tenant)
	if err != nil {
		return c.consentNotSeen(ctx, tenant, err)
	}
	if isGUID(grant.Tenant) && !strings.EqualFold(tid, grant.Tenant) {
		return notice{
			status: http.StatusForbidden, Tone: toneFailed, Title: "This was another organisation",
			Text:  []string{"The consent that Microsoft reports belongs to another organisation than the one this link was made for. Nothing was connected."},
			Steps: []string{"Sign in with an admin account of the organisation that you were asked to connect, and open the link again."},
		}
	}
	if _, err := c.store.SetTenantStatus(ctx, tenant.ID, model.TenantConnected, ""); err != nil {
		return c.ownTrouble(ctx, fmt.Errorf("noting the consent: %w", err))
	}
	n := notice{
		status: http.StatusOK, Tone: toneDone, Title: tenant.Name + " is connected",
		Text: []string{"Microsoft has confirmed the consent: pairsync got a token for your organisation. Calendars of participants in mentoring are kept in step from now on; other people's calendars are not touched."},
		Steps: []string{
			"Go back to your mentoring platform and run its connection test: it tries the calendars of some participants and says what is missing.",
			"To let pairsync reach the participants' mailboxes only, ask an Exchange admin to limit it with RBAC for Applications, and take the consent for the whole organisation back afterwards: the two add up.",
			"You can close this page.",
		},
	}
	if missing := missingRoles(roles); len(missing) > 0 {
		n.Text = append(n.Text, "Not in the token yet: "+strings.Join(missing, ", ")+". Right after consenting that may take some minutes; where access is granted through RBAC for Applications it is as it should be. The connection test will tell.")
	}
	return n
}

// awaitConsent gets a token, and tries again for a few seconds: a consent takes a while to arrive at the token service.
func (c *Console) awaitConsent(ctx context.Context, tenant string) (tid string, roles []string, err error) {
	deadline := time.Now().Add(c.cfg.ConsentWait)
	for pause := c.cfg.ConsentWait / 16; ; pause = min(2*pause, c.cfg.ConsentWait/4) {
		tid, roles, err = c.directory.TokenTenant(ctx, tenant)
		arrived := err == nil && len(missingRoles(roles)) == 0
		if kind := graph.KindOf(err); arrived || err != nil && kind != graph.KindTenant && kind != graph.KindUnavailable {
			return tid, roles, err
		}
		if !time.Now().Add(pause).Before(deadline) {
			return tid, roles, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return tid, roles, err
		}
	}
}

// missingRoles are the least permissions that a token would need in addition.
func missingRoles(have []string) []string {
	var missing []string
	for _, enough := range consentPermissions() {
		if !slices.ContainsFunc(enough, func(role string) bool { return slices.Contains(have, role) }) {
			missing = append(missing, enough[0])
		}
	}
	return missing
}

func isGUID(s string) bool {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString(s)
}

// consentRefused says what an error means that Microsoft sent the admin back with. The link stays good for another try.
func consentRefused(code string) notice {
	n := notice{
		status: http.StatusForbidden, Tone: toneFailed, Title: "The consent was not given",
		Text: []string{"Microsoft reports that the consent was not completed. Nothing was connected, and nothing has changed."},
		Steps: []string{
			"Open the link again, sign in with an account that may consent for the whole organisation, such as a Global Administrator, and accept.",
			"When the link has expired, which it does after 15 minutes, ask for a new one in your mentoring platform.",
		},
	}
	switch code {
	case "permission_denied", "access_denied":
		n.Text[0] = "The consent was cancelled at Microsoft. Nothing was connected, and nothing has changed."
	case "consent_required":
		n.Text[0] = "Microsoft reports that the permissions were declined. Nothing was connected, and nothing has changed."
	case "unauthorized_client", "invalid_client":
		n.Text[0] = "Microsoft doesn't let the application ask for consent in your organisation. Nothing was connected."
		n.Steps = []string{"Tell whoever operates pairsync: the application's registration in Entra has to allow accounts of other organisations, and this page's address as a redirect URI."}
	case "temporarily_unavailable", "server_error":
		n.Text[0] = "Microsoft's sign-in has a disturbance. Nothing was connected."
		n.Steps = []string{"Wait some minutes, then open the link again or ask for a new one."}
	}
	return n
}

// consentNotSeen says why no token could be got.
func (c *Console) consentNotSeen(ctx context.Context, tenant model.Tenant, err error) notice {
	c.log.LogAttrs(ctx, slog.LevelWarn, "consent could not be confirmed", slog.Any("error", err))
	t := troubleOf(err, stepToken)
	n := notice{
		status: http.StatusBadGateway, Tone: toneWait, Title: "The consent can't be confirmed yet",
		Text: []string{"Microsoft doesn't give pairsync a token for " + tenant.Name + " yet. " + t.Remedy},
		Steps: []string{
			"Wait some minutes: a consent may take that long to arrive, and pairsync keeps looking and connects by itself.",
			"If the organisation is still not connected then, ask for a new link in your mentoring platform and consent again.",
		},
	}
	if graph.KindOf(err) == graph.KindTenant && t.Reason != graph.ReasonConsentMissing && t.Reason != graph.ReasonAppNotInTenant {
		n.Tone = toneFailed
	}
	return n
}

// badState is for a link that is not ours, too old or used, or that can't be looked up just now.
func (c *Console) badState(ctx context.Context, err error) notice {
	switch {
	case errors.Is(err, errOldState):
		return notice{
			status: http.StatusGone, Tone: toneFailed, Title: "This link is used up",
			Text:  []string{"A link can be used once, and for 15 minutes. If you have just finished and reloaded the page, all may be well already: your mentoring platform shows how the connection stands."},
			Steps: []string{"Otherwise ask for a new link in your mentoring platform."},
		}
	case errors.Is(err, errBadState):
		return notice{
			status: http.StatusBadRequest, Tone: toneFailed, Title: "This link is not complete",
			Text:  []string{"The address of this page is not one that pairsync gave out, or a part of it is missing. Nothing was connected."},
			Steps: []string{"Ask for a new link in your mentoring platform, and open it just as it is given."},
		}
	}
	return c.ownTrouble(ctx, err)
}

// ownTrouble is for what is neither the admin's fault nor Microsoft's.
func (c *Console) ownTrouble(ctx context.Context, err error) notice {
	c.log.LogAttrs(ctx, slog.LevelError, "a browser's way back from Microsoft failed", slog.Any("error", err))
	return notice{
		status: http.StatusServiceUnavailable, Tone: toneWait, Title: "pairsync has a disturbance",
		Text:  []string{"Microsoft sent you back well, but pairsync could not finish. That is our fault, not yours."},
		Steps: []string{"Wait a minute, then ask for a new link in your mentoring platform."},
	}
}
