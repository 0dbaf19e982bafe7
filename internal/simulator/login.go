package simulator

import (
	"cmp"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const opToken = "token"

// loginError is an error of the token endpoint, as Entra writes it.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
type loginError struct {
	status  int
	code    string
	number  int
	message string
	// suberror tells libraries whether asking the person helps; empty is left out.
	suberror string
}

// loginTime is Entra's layout of an instant inside an error.
const loginTime = "2006-01-02 15:04:05Z"

func (e *loginError) Error() string { return e.code + ": " + e.message }

func (e *loginError) description(trace, correlation string, now time.Time) string {
	return fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
		e.number, e.message, trace, correlation, now.UTC().Format(loginTime))
}

func (e *loginError) body() map[string]any {
	now := time.Now()
	trace, correlation := newGUID(), newGUID()
	body := map[string]any{
		"error":             e.code,
		"error_description": e.description(trace, correlation, now),
		"error_codes":       []int{e.number}, "timestamp": now.UTC().Format(loginTime), "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.number),
	}
	if e.suberror != "" {
		body["suberror"] = e.suberror
	}
	return body
}

// serveDiscovery answers the OpenID configuration of a tenant. The issuer is Entra's own, as in the real one.
func (s *Simulator) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("tenant")
	id := name
	if !slices.Contains([]string{"common", "organizations", "consumers"}, name) {
		t, err := s.findTenant(name)
		if err != nil {
			e := unknownTenant(name)
			writeJSON(w, e.status, e.body())
			return
		}
		id = t.id
	}
	base := s.base(r) + "/" + id
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                "https://login.microsoftonline.com/" + id + "/v2.0",
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"userinfo_endpoint":                     s.base(r) + "/oidc/userinfo",
		"end_session_endpoint":                  base + "/oauth2/v2.0/logout",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   "microsoftonline.com",
		"cloud_graph_host_name":                 "graph.windows.net",
		"msgraph_host":                          "graph.microsoft.com",
	})
}

// serveInstances answers the instance discovery that clients make when they don't trust an authority by name.
func (s *Simulator) serveInstances(w http.ResponseWriter, r *http.Request) {
	tenant := "common"
	if rest, ok := strings.CutPrefix(r.URL.Query().Get("authorization_endpoint"), "https://"); ok {
		if parts := strings.Split(rest, "/"); len(parts) > 1 && parts[1] != "" {
			tenant = parts[1]
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": s.base(r) + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": r.Host, "preferred_cache": r.Host,
			"aliases": []string{r.Host, "login.microsoftonline.com", "login.windows.net", "sts.windows.net"},
		}},
	})
}

func (s *Simulator) serveKeys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.tokens.jwks())
}

// serveToken is the token endpoint: client credentials for the application; a code, a refresh token or a password for a
// person.
func (s *Simulator) serveToken(w http.ResponseWriter, r *http.Request) {
	s.counts.call(opToken)
	tenant := r.PathValue("tenant")
	if f := s.faults.hit(target{op: opToken, tenant: tenant}); f != nil {
		if wait(r.Context(), f.Latency.Duration) != nil || f.Cut {
			panic(http.ErrAbortHandler)
		}
		if f.Status != 0 {
			e := &loginError{status: f.Status, code: f.Code, number: cmp.Or(f.Number, 90033), message: f.Message}
			if e.code == "" {
				e.code, e.message = "temporarily_unavailable", "A transient error has occurred. Please try again."
			}
			if f.RetryAfter != "" {
				w.Header().Set("Retry-After", f.RetryAfter)
			}
			s.counts.answer(opToken, e.status)
			writeJSON(w, e.status, e.body())
			return
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	answer, err := s.grant(tenant, r)
	status := http.StatusOK
	if err != nil {
		e := &loginError{status: http.StatusInternalServerError, code: "server_error", number: 90055, message: err.Error()}
		if le, ok := errors.AsType[*loginError](err); ok {
			e = le
		}
		status, answer = e.status, e.body()
	}
	w.Header().Set("Cache-Control", "no-store, no-cache")
	s.counts.answer(opToken, status)
	writeJSON(w, status, answer)
}

func (s *Simulator) grant(name string, r *http.Request) (map[string]any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, missing("grant_type")
	}
	form := r.PostForm
	personal := form.Get("grant_type") == "authorization_code" || form.Get("grant_type") == "refresh_token"
	t, err := s.findTenant(name)
	if err != nil && (!personal || !anyTenant(name)) {
		return nil, unknownTenant(name)
	}
	id := form.Get("client_id")
	if id == "" {
		return nil, missing("client_id")
	}
	app, known := s.app(id)
	if !known {
		return nil, notInstalled(id, name)
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return s.redeem(name, app, r)
	case "refresh_token":
		return s.refresh(name, app, r)
	}
	return s.grantInTenant(t, app, r)
}

func notInstalled(app, tenant string) *loginError {
	return &loginError{status: http.StatusBadRequest, code: "unauthorized_client", number: 700016, message: fmt.Sprintf(
		"Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has "+
			"not been installed by the administrator of the tenant or consented to by any user in the tenant.", app, tenant)}
}

// grantInTenant is a grant that rests on an admin's consent.
func (s *Simulator) grantInTenant(t *tenant, app App, r *http.Request) (map[string]any, error) {
	s.world.mu.RLock()
	consent, name, rolesFrom := t.consent, t.name, t.rolesFrom
	s.world.mu.RUnlock()
	form, id := r.PostForm, app.ClientID
	if consent == ConsentMissing {
		return nil, notInstalled(id, name)
	}
	switch form.Get("grant_type") {
	case "client_credentials":
		if err := app.prove(r); err != nil {
			return nil, err
		}
		if !s.knownScope(r, form.Get("scope")) {
			return nil, &loginError{status: http.StatusBadRequest, code: "invalid_scope", number: 70011, message: fmt.Sprintf(
				"The provided value for the input parameter 'scope' isn't valid. The scope %s isn't valid.", form.Get("scope"))}
		}
		c := claims{AppID: id, ObjectID: servicePrincipal(t.id, id), IDType: "app"}
		if consent == ConsentGranted && !time.Now().Before(rolesFrom) {
			c.Roles = app.permissions()
		}
		return s.tokenAnswer(t.id, c)
	case "password":
		s.world.mu.RLock()
		box, err := s.world.person(form.Get("username"))
		s.world.mu.RUnlock()
		if err != nil || box.tenant != t || form.Get("password") == "" {
			return nil, &loginError{
				status: http.StatusBadRequest, code: "invalid_grant", number: 50126,
				message: "Error validating credentials due to invalid username or password.",
			}
		}
		return s.tokenAnswer(t.id, claims{
			AppID: id, ObjectID: box.id, UPN: box.email, IDType: "user",
			Scope: "Calendars.ReadWrite MailboxSettings.Read User.Read",
		})
	case "":
		return nil, missing("grant_type")
	default:
		return nil, &loginError{
			status: http.StatusBadRequest, code: "unsupported_grant_type", number: 70003,
			message: "The app requested an unsupported grant type.",
		}
	}
}

// knownScope tells whether an application asks for Graph. MSAL adds the OpenID scopes to every request, and Entra takes them.
func (s *Simulator) knownScope(r *http.Request, scope string) bool {
	asked := slices.DeleteFunc(strings.Fields(scope), func(word string) bool {
		return slices.Contains([]string{"openid", "profile", "offline_access"}, word)
	})
	return slices.Equal(asked, []string{graphAudience + "/.default"}) || slices.Equal(asked, []string{s.base(r) + "/.default"})
}

func (s *Simulator) tokenAnswer(tenant string, c claims) (map[string]any, error) {
	now := time.Now()
	c.TenantID, c.Version = tenant, "1.0"
	c.Issuer = "https://sts.windows.net/" + tenant + "/"
	c.Subject = c.ObjectID
	c.Audience = jwt.ClaimStrings{graphAudience}
	c.IssuedAt, c.NotBefore = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(-5*time.Minute))
	c.ExpiresAt = jwt.NewNumericDate(now.Add(s.cfg.TokenLifetime))
	c.ID = newGUID()
	token, err := s.tokens.issue(c)
	if err != nil {
		return nil, fmt.Errorf("signing a token: %w", err)
	}
	seconds := max(int(s.cfg.TokenLifetime/time.Second)-1, 1)
	return map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
	}, nil
}

// app finds a registered application; without any registered, every one is known.
func (s *Simulator) app(id string) (App, bool) {
	if len(s.cfg.Apps) == 0 {
		return App{ClientID: id}, true
	}
	i := slices.IndexFunc(s.cfg.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, id) })
	if i < 0 {
		return App{}, false
	}
	return s.cfg.Apps[i], true
}

// prove checks the credential of a client-credentials request.
func (a App) prove(r *http.Request) error {
	form := r.PostForm
	if form.Get("client_assertion") != "" {
		return a.proveAssertion(form.Get("client_assertion"), form.Get("client_assertion_type"))
	}
	secret := form.Get("client_secret")
	if _, basic, ok := r.BasicAuth(); ok && secret == "" {
		secret = basic
	}
	switch {
	case secret == "":
		return &loginError{
			status: http.StatusUnauthorized, code: "invalid_client", number: 7000218,
			message: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
		}
	case a.Secret != "" && secret != a.Secret:
		return &loginError{status: http.StatusUnauthorized, code: "invalid_client", number: 7000215, message: fmt.Sprintf(
			"Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the "+
				"client secret ID, for a secret added to app '%s'.", a.ClientID)}
	case a.SecretExpired:
		return &loginError{status: http.StatusUnauthorized, code: "invalid_client", number: 7000222, message: fmt.Sprintf(
			"The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app.",
			a.ClientID)}
	}
	return nil
}

func (a App) proveAssertion(assertion, kind string) error {
	refuse := func(why string) error {
		return &loginError{status: http.StatusUnauthorized, code: "invalid_client", number: 700027, message: "Client assertion failed signature validation. " + why}
	}
	if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return refuse("The assertion type is not supported.")
	}
	parser := jwt.NewParser(jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"RS256", "PS256"}))
	if len(a.Keys) == 0 {
		var c jwt.RegisteredClaims
		if _, _, err := parser.ParseUnverified(assertion, &c); err != nil || c.ExpiresAt == nil || time.Now().After(c.ExpiresAt.Time) {
			return refuse("The assertion is malformed or expired.")
		}
		return nil
	}
	if !slices.ContainsFunc(a.Keys, func(k *rsa.PublicKey) bool {
		var c jwt.RegisteredClaims
		_, err := parser.ParseWithClaims(assertion, &c, func(*jwt.Token) (any, error) { return k, nil })
		return err == nil && c.Issuer == a.ClientID && c.Subject == a.ClientID
	}) {
		return refuse("The key was not found.")
	}
	return nil
}

// permissions are those that an admin's consent grants to the application itself.
func (a App) permissions() []string {
	if len(a.Permissions) > 0 {
		return a.Permissions
	}
	return []string{"Calendars.ReadWrite", "MailboxSettings.Read", "User.Read.All"}
}

func unknownTenant(name string) *loginError {
	return &loginError{status: http.StatusBadRequest, code: "invalid_request", number: 90002, message: fmt.Sprintf(
		"Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", name)}
}

func missing(parameter string) *loginError {
	return &loginError{status: http.StatusBadRequest, code: "invalid_request", number: 900144, message: fmt.Sprintf(
		"The request body must contain the following parameter: '%s'.", parameter)}
}

func (s *Simulator) findTenant(name string) (*tenant, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	return s.world.tenant(name)
}
