package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// openID are the scopes that say what is answered and not what may be called.
func openID() []string { return []string{"openid", "profile", "email", "offline_access"} }

// delegated are the permissions that a person can grant on their own data.
func delegated() []string {
	return []string{
		"Calendars.Read", "Calendars.ReadBasic", "Calendars.ReadWrite", "Calendars.Read.Shared", "Calendars.ReadWrite.Shared",
		"MailboxSettings.Read", "MailboxSettings.ReadWrite", "User.Read", "User.ReadBasic.All",
	}
}

// anyTenant says whether an authority is not one organisation's own.
func anyTenant(name string) bool { return name == "organizations" || name == "common" }

// scopes reads a list of delegated scopes, long or short, into short ones in the order given. The second result is the
// first of them that there isn't.
func (s *Simulator) scopes(r *http.Request, list string) (short []string, unknown string) {
	for word := range strings.FieldsSeq(list) {
		for _, prefix := range []string{graphAudience, s.base(r)} {
			word = strings.TrimPrefix(word, prefix+"/")
		}
		switch {
		case word == ".default":
			short = append(short, "Calendars.ReadWrite", "MailboxSettings.Read", "User.Read")
		case slices.Contains(openID(), word) || slices.Contains(delegated(), word):
			short = append(short, word)
		default:
			return nil, word
		}
	}
	return short, ""
}

func invalidGrant(number int, format string, args ...any) *loginError {
	return &loginError{status: http.StatusBadRequest, code: "invalid_grant", number: number, message: fmt.Sprintf(format, args...)}
}

// redeem trades a code for tokens. https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
func (s *Simulator) redeem(authority string, app App, r *http.Request) (map[string]any, error) {
	form := r.PostForm
	for _, name := range []string{"code", "redirect_uri"} {
		if form.Get(name) == "" {
			return nil, missing(name)
		}
	}
	if err := app.prove(r); err != nil {
		return nil, err
	}
	c, used := s.codes.take(form.Get("code"))
	switch {
	case c == nil || !strings.EqualFold(c.app, app.ClientID):
		return nil, invalidGrant(70000, "The provided value for the 'code' parameter is not valid.")
	case used:
		return nil, invalidGrant(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	case time.Now().After(c.expires):
		return nil, invalidGrant(70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.")
	case c.redirect != form.Get("redirect_uri"):
		return nil, invalidGrant(500112, "The reply address '%s' does not match the reply address '%s' provided when requesting Authorization code.",
			form.Get("redirect_uri"), c.redirect)
	case !c.proves(form.Get("code_verifier")):
		return nil, invalidGrant(50148, "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE.")
	}
	if err := s.belongs(authority, c.box); err != nil {
		return nil, err
	}
	p, e := s.begun(c)
	if e != nil {
		return nil, e
	}
	return s.signed(p)
}

// begun signs in whom a code stands for.
func (s *Simulator) begun(c *grantCode) (papers, *loginError) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.box.signIn.lasts() {
		return papers{}, c.box.signIn.refusal()
	}
	ses := w.signIn(c.box, c.app, c.scopes)
	s.saver.dirty()
	s.feed.publish()
	return ses.papers(ses.scopes, c.nonce), nil
}

// refresh trades a refresh token for new tokens. The old one stays good.
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens
func (s *Simulator) refresh(authority string, app App, r *http.Request) (map[string]any, error) {
	form := r.PostForm
	if form.Get("refresh_token") == "" {
		return nil, missing("refresh_token")
	}
	if err := app.prove(r); err != nil {
		return nil, err
	}
	asked, unknown := s.scopes(r, form.Get("scope"))
	if unknown != "" {
		return nil, &loginError{status: http.StatusBadRequest, code: "invalid_scope", number: 70011, message: fmt.Sprintf(
			"The provided value for the input parameter 'scope' isn't valid. The scope %s isn't valid.", form.Get("scope"))}
	}
	p, e := s.renewed(authority, app, form.Get("refresh_token"), asked)
	if e != nil {
		return nil, e
	}
	return s.signed(p)
}

// renewed makes out new tokens to a refresh token that is good.
func (s *Simulator) renewed(authority string, app App, token string, asked []string) (papers, *loginError) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	ses, issued, ok := w.sessionOf(token)
	if !ok || !strings.EqualFold(ses.app, app.ClientID) {
		return papers{}, invalidGrant(9002313, "Invalid request. Request is malformed or invalid.")
	}
	if !anyTenant(authority) {
		if t, err := w.tenant(authority); err != nil || t != ses.box.tenant {
			return papers{}, otherTenant()
		}
	}
	now := time.Now()
	switch e := ses.standing().refusal(); {
	case ses.box.kind == MailboxDeleted:
		return papers{}, noAccount(ses.box.email)
	case e != nil:
		return papers{}, e
	case now.After(issued.Add(s.cfg.RefreshLifetime)):
		return papers{}, SignInInactive.refusal()
	}
	if len(asked) == 0 {
		asked = ses.scopes
	}
	for _, scope := range asked {
		if !slices.Contains(ses.scopes, scope) && !slices.Contains(openID(), scope) {
			return papers{}, SignInUnconsented.refusal()
		}
	}
	if slices.Contains(ses.scopes, "offline_access") && !slices.Contains(asked, "offline_access") {
		asked = append(slices.Clone(asked), "offline_access")
	}
	ses.used = now.UTC()
	s.saver.dirty()
	s.feed.publish()
	return ses.papers(asked, ""), nil
}

func noAccount(email string) *loginError {
	return invalidGrant(50034, "The user account %s does not exist in the directory. To sign into this application, the account must be added to the directory.", email)
}

func otherTenant() *loginError {
	return invalidGrant(700005, "Provided Authorization Code is intended to use against other tenant, thus rejected.")
}

// belongs refuses the token endpoint of another organisation than the person's.
func (s *Simulator) belongs(authority string, box *mailbox) error {
	if anyTenant(authority) {
		return nil
	}
	if t, err := s.findTenant(authority); err != nil || t != box.tenant {
		return otherTenant()
	}
	return nil
}

// papers are the tokens of a sign-in before they are signed, which takes too long to hold the world's lock for.
type papers struct {
	access claims
	// id is nil when it was not asked for, refresh empty.
	id      *idClaims
	scope   string
	refresh string
}

// papers are made out to how person and organisation are called now. The caller holds the world's lock.
func (ses *session) papers(scopes []string, nonce string) papers {
	now, box := time.Now(), ses.box
	granted := slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == "offline_access" })
	long := make([]string, len(granted))
	for i, scope := range granted {
		long[i] = scope
		if !slices.Contains(openID(), scope) {
			long[i] = graphAudience + "/" + scope
		}
	}
	p := papers{scope: strings.Join(long, " "), access: claims{
		TenantID: box.tenant.id, AppID: ses.app, ObjectID: box.id, UPN: box.email, IDType: "user", Scope: strings.Join(granted, " "), Session: ses.id,
	}}
	if slices.Contains(scopes, "offline_access") {
		p.refresh = ses.refreshToken(now)
	}
	if slices.Contains(scopes, "openid") {
		p.id = &idClaims{
			RegisteredClaims: jwt.RegisteredClaims{
				Issuer: "https://login.microsoftonline.com/" + box.tenant.id + "/v2.0",
				// The subject is another for each application.
				Subject: servicePrincipal(box.id, ses.app), Audience: jwt.ClaimStrings{ses.app},
				IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
			},
			Name: box.name, Nonce: nonce, ObjectID: box.id, Username: box.email, TenantID: box.tenant.id, Session: ses.id, Version: "2.0",
		}
	}
	return p
}

// signed is the token endpoint's answer to a person's sign-in.
func (s *Simulator) signed(p papers) (map[string]any, error) {
	answer, err := s.tokenAnswer(p.access.TenantID, p.access)
	if err != nil {
		return nil, err
	}
	answer["scope"] = p.scope
	if p.refresh != "" {
		answer["refresh_token"] = p.refresh
	}
	if p.id != nil {
		if answer["id_token"], err = s.tokens.issue(p.id); err != nil {
			return nil, fmt.Errorf("signing an id token: %w", err)
		}
	}
	return answer, nil
}

// idClaims are those of a version 2.0 id token.
// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
type idClaims struct {
	jwt.RegisteredClaims

	Name     string `json:"name"`
	Nonce    string `json:"nonce,omitempty"`
	ObjectID string `json:"oid"`
	Username string `json:"preferred_username"`
	TenantID string `json:"tid"`
	Session  string `json:"sid"`
	Version  string `json:"ver"`
}

// redirectURIs are those of an application: what the control API has set, else what it was registered with; none accepts
// every one.
func (s *Simulator) redirectURIs(app App) []string {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	if uris, ok := s.world.redirects[strings.ToLower(app.ClientID)]; ok {
		return uris
	}
	return app.RedirectURIs
}

// SetRedirectURIs registers where an application's sign-ins and consents may lead back to, exactly; none accepts every one.
func (s *Simulator) SetRedirectURIs(app string, uris []string) error {
	if _, ok := s.app(app); !ok {
		return fmt.Errorf("application %q: %w", app, errNotFound)
	}
	for _, uri := range uris {
		if !absolute(uri) {
			return fmt.Errorf("%q is not an absolute http or https URL", uri)
		}
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.redirects[strings.ToLower(app)] = slices.Clone(uris)
	s.saver.dirty()
	return nil
}

// absolute says whether a text is a URL to which a browser can be sent.
func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.Fragment == ""
}
