package graph

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// jwtOf is a token with these claims, whose signature nobody looks at.
func jwtOf(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(body) + ".x"
}

// keeper keeps one person's refresh token.
type keeper struct {
	mu      sync.Mutex
	perUser bool
	token   string
	saved   []string
	broken  error
}

func (k *keeper) PerUser(context.Context, string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.perUser, k.broken
}

func (k *keeper) RefreshToken(context.Context, Mailbox) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.token, k.broken
}

func (k *keeper) SaveRefreshToken(_ context.Context, mb Mailbox, used, newest string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.saved = append(k.saved, mb.User+": "+used+" → "+newest)
	k.token = newest
	return nil
}

func TestConsentURL(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, nil)
	got, err := url.Parse(s.client(t).ConsentURL(tenantA, "the state", "https://pairsync.example/consent/callback"))
	if err != nil {
		t.Fatal(err)
	}
	q := got.Query()
	if !strings.HasPrefix(got.String(), s.server.URL+"/"+tenantA+"/v2.0/adminconsent?") || q.Get("client_id") != "app" || q.Get("state") != "the state" ||
		q.Get("scope") != "https://graph.microsoft.com/.default" || q.Get("redirect_uri") != "https://pairsync.example/consent/callback" {
		t.Errorf("URL %s", got)
	}
}

// TestTokenTenantAsksAnew as long as a consent hasn't reached the token endpoint, its answers change.
func TestTokenTenantAsksAnew(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, bookedEvent("e1", "k1", summerDay())))
	var asked int
	s.token = func(w http.ResponseWriter, _ *http.Request) {
		claims := map[string]any{"tid": strings.ToUpper(tenantA)}
		if asked++; asked > 1 {
			claims["roles"] = []string{"User.Read.All", "Calendars.ReadWrite"}
		}
		writeJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": jwtOf(t, claims)})
	}
	c := s.client(t)
	tid, roles, err := c.TokenTenant(t.Context(), tenantA)
	if tid != tenantA || len(roles) != 0 || err != nil {
		t.Errorf("%s %v, %v", tid, roles, err)
	}
	tid, roles, err = c.TokenTenant(t.Context(), tenantA)
	if tid != tenantA || !slices.Equal(roles, []string{"Calendars.ReadWrite", "User.Read.All"}) || err != nil {
		t.Errorf("%s %v, %v", tid, roles, err)
	}
	if _, err := c.Event(t.Context(), boxA(), "e1"); err != nil || asked != 2 {
		t.Errorf("a call after it: %v, %d tokens", err, asked)
	}
}

func TestTokenTenantThatIsNone(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{"opaque": "token-1", "no claims": "a.b!.c", "no JSON": "a.eA.c", "no tenant": "e30.e30.x"} {
		s := newStandIn(t, nil)
		s.token = func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": token})
		}
		if tid, _, err := s.client(t).TokenTenant(t.Context(), tenantA); KindOf(err) != KindInvalid {
			t.Errorf("%s: %q, %v", name, tid, err)
		}
	}
	s := newStandIn(t, nil)
	s.token = answer(http.StatusBadRequest, `{"error": "unauthorized_client", "error_codes": [700016]}`)
	if _, _, err := s.client(t).TokenTenant(t.Context(), tenantA); KindOf(err) != KindTenant {
		t.Errorf("no consent: %v", err)
	}
}

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, nil)
	got, err := url.Parse(s.client(t).AuthorizeURL(AuthorizeRequest{
		Tenant: tenantA, RedirectURL: "https://pairsync.example/connect/callback", State: "the state", Verifier: strings.Repeat("v", 43), LoginHint: "ada@x",
	}))
	if err != nil {
		t.Fatal(err)
	}
	q := got.Query()
	hash := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	for name, want := range map[string]string{
		"client_id": "app", "response_type": "code", "state": "the state", "redirect_uri": "https://pairsync.example/connect/callback",
		"scope": "openid profile offline_access Calendars.ReadWrite MailboxSettings.Read", "login_hint": "ada@x",
		"code_challenge_method": "S256", "code_challenge": base64.RawURLEncoding.EncodeToString(hash[:]),
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if got.Path != "/"+tenantA+"/oauth2/v2.0/authorize" || strings.Contains(got.RawQuery, "vvvv") {
		t.Errorf("URL %s", got)
	}
}

func TestExchangeCode(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, nil)
	var form url.Values
	s.token = func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form = r.PostForm
		writeJSON(w, map[string]any{
			"token_type": "Bearer", "expires_in": 3599, "access_token": "a1", "refresh_token": "r1", "scope": "Calendars.ReadWrite openid",
			"id_token": jwtOf(t, map[string]any{"tid": strings.ToUpper(tenantA), "oid": strings.ToUpper(mailboxA), "preferred_username": "ada@x"}),
		})
	}
	got, err := s.client(t).ExchangeCode(t.Context(), CodeExchange{Tenant: tenantA, RedirectURL: "https://back", Verifier: "v", Code: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Tenant != tenantA || got.User != mailboxA || got.Name != "ada@x" || got.RefreshToken != "r1" || !slices.Contains(got.Scopes, "Calendars.ReadWrite") {
		t.Errorf("%+v", got)
	}
	for name, want := range map[string]string{
		"grant_type": "authorization_code", "code": "c", "code_verifier": "v", "client_id": "app", "client_secret": "hush", "redirect_uri": "https://back",
	} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
}

func TestExchangeCodeThatFails(t *testing.T) {
	t.Parallel()
	who := jwtOf(t, map[string]any{"tid": tenantA, "oid": mailboxA})
	tests := map[string]struct {
		status int
		body   string
		want   Kind
		reason string
	}{
		"used before":     {400, `{"error": "invalid_grant", "error_codes": [54005]}`, KindSignIn, ReasonSignInRequired},
		"no consent":      {400, `{"error": "invalid_grant", "error_codes": [65001]}`, KindSignIn, ReasonConsentMissing},
		"consent":         {400, `{"error": "consent_required"}`, KindSignIn, ReasonConsentMissing},
		"interaction":     {400, `{"error": "interaction_required", "error_codes": [50076]}`, KindSignIn, ReasonSignInRequired},
		"login":           {400, `{"error": "login_required"}`, KindSignIn, ReasonSignInRequired},
		"our secret":      {401, `{"error": "invalid_client", "error_codes": [7000222]}`, KindTenant, ReasonSecretExpired},
		"our application": {400, `{"error": "unauthorized_client", "error_codes": [700016]}`, KindTenant, ReasonAppNotInTenant},
		"Entra is ill":    {503, `{"error": "temporarily_unavailable"}`, KindUnavailable, ReasonServerError},
		"too many":        {429, `busy`, KindThrottled, ReasonThrottled},
		"nobody":          {200, `{"access_token": "a", "token_type": "Bearer", "refresh_token": "r"}`, KindInvalid, ReasonUnreadableAnswer},
		"nobody's id":     {200, `{"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "id_token": "x"}`, KindInvalid, ReasonUnreadableAnswer},
		"for an hour":     {200, `{"access_token": "a", "token_type": "Bearer", "id_token": "` + who + `"}`, KindInvalid, ReasonUnreadableAnswer},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, nil)
			s.token = answer(tt.status, tt.body)
			_, err := s.client(t).ExchangeCode(t.Context(), CodeExchange{Tenant: tenantA, Code: "c", Verifier: "v"})
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != tt.want || e.Reason != tt.reason {
				t.Errorf("error %v, want %s for %s", err, tt.want, tt.reason)
			}
		})
	}
}

// personal is a stand-in whose token endpoint takes refresh tokens: of each, the newest.
func personal(t *testing.T, k *keeper) (*standIn, *Client) {
	t.Helper()
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer access of "+"r2":
			answer(http.StatusUnauthorized, `{"error": {"code": "InvalidAuthenticationToken", "message": "x"}}`)(w, r)
		case strings.HasSuffix(r.URL.Path, "/subscriptions"):
			answer(http.StatusOK, `{"value": []}`)(w, r)
		default:
			answer(http.StatusOK, bookedEvent("e1", "k1", summerDay()))(w, r)
		}
	})
	s.token = func(w http.ResponseWriter, r *http.Request) {
		s.issued.Add(1)
		used := r.PostFormValue("refresh_token")
		if r.PostFormValue("grant_type") != "refresh_token" || used != "r1" && used != "r2" {
			answer(http.StatusBadRequest, `{"error": "invalid_grant", "error_codes": [50173]}`)(w, r)
			return
		}
		writeJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": "access of r2", "refresh_token": "r2"})
	}
	return s, s.client(t, func(c *Config) { c.Delegated = k })
}

func TestCallsWithAPersonsToken(t *testing.T) {
	t.Parallel()
	k := &keeper{perUser: true, token: "r1"}
	s, c := personal(t, k)
	for range 3 {
		if _, err := c.Event(t.Context(), boxA(), "e1"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.issued.Load(); n != 1 {
		t.Errorf("%d tokens for three calls", n)
	}
	if want := mailboxA + ": r1 → r2"; len(k.saved) != 1 || k.saved[0] != want {
		t.Errorf("saved %v", k.saved)
	}
	for _, r := range c.Events(t.Context(), tenantA, []EventRef{{Mailbox: boxA(), ID: "e1"}, {Mailbox: boxA(), ID: "e1"}}) {
		if r.Err != nil || r.Event.ID != "e1" {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range s.seen() {
		if strings.HasSuffix(r.Path, "/$batch") {
			t.Error("a batch has one token for all")
		}
	}
	if _, err := c.Subscriptions(t.Context(), tenantA); KindOf(err) != KindSignIn {
		t.Errorf("on nobody's behalf: %v", err)
	}
	if _, err := c.Subscriptions(OnBehalfOf(t.Context(), boxA()), tenantA); err != nil {
		t.Errorf("on somebody's behalf: %v", err)
	}
}

func TestAPersonWhoHasToSignIn(t *testing.T) {
	t.Parallel()
	k := &keeper{perUser: true}
	s, c := personal(t, k)
	if _, err := c.Event(t.Context(), boxA(), "e1"); KindOf(err) != KindSignIn || s.issued.Load() != 0 {
		t.Errorf("never signed in: %v", err)
	}
	k.token = "revoked"
	for range 3 {
		if _, err := c.Event(t.Context(), boxA(), "e1"); KindOf(err) != KindSignIn {
			t.Errorf("revoked: %v", err)
		}
	}
	if n := s.issued.Load(); n != 1 {
		t.Errorf("Entra was asked %d times", n)
	}
	// Signed in again, here.
	k.token = "r2"
	c.signIns.signedIn(boxA())
	if _, err := c.Event(t.Context(), boxA(), "e1"); err != nil {
		t.Errorf("signed in again: %v", err)
	}
	k.broken = errors.New("the database is down")
	c.signIns.signedIn(boxA())
	if _, err := c.Event(t.Context(), boxA(), "e1"); KindOf(err) != KindUnavailable {
		t.Errorf("no store: %v", err)
	}
	if got := c.Events(t.Context(), tenantA, []EventRef{{Mailbox: boxA(), ID: "e1"}}); KindOf(got[0].Err) != KindUnavailable {
		t.Errorf("no store: %v", got[0].Err)
	}
}

// TestTheTenantsMethodDecides keeps the application's own token for organisations that consented as a whole.
func TestTheTenantsMethodDecides(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, bookedEvent("e1", "k1", summerDay())))
	c := s.client(t, func(c *Config) { c.Delegated = &keeper{} })
	if _, err := c.Event(t.Context(), boxA(), "e1"); err != nil {
		t.Fatal(err)
	}
	if got := s.seen()[0].Header.Get("Authorization"); got != "Bearer token-1" {
		t.Errorf("it went with %q", got)
	}
}

// TestSignInWithACertificate proves who we are in the exchange and in the refresh.
func TestSignInWithACertificate(t *testing.T) {
	t.Parallel()
	file, key := certificate(t)
	s := newStandIn(t, answer(http.StatusOK, bookedEvent("e1", "k1", summerDay())))
	var proved int
	s.token = func(w http.ResponseWriter, r *http.Request) {
		var claims jwt.RegisteredClaims
		_, err := jwt.ParseWithClaims(r.PostFormValue("client_assertion"), &claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithValidMethods([]string{"PS256"}), jwt.WithExpirationRequired(), jwt.WithAudience(s.server.URL+"/"+tenantA+"/oauth2/v2.0/token"))
		if err != nil || claims.Issuer != "app" || claims.Subject != "app" || r.PostFormValue("client_secret") != "" {
			t.Errorf("%s with %+v: %v", r.PostFormValue("grant_type"), claims, err)
		}
		proved++
		writeJSON(w, map[string]any{
			"token_type": "Bearer", "expires_in": 3599, "access_token": "a1", "refresh_token": fmt.Sprint("r", proved),
			"id_token": jwtOf(t, map[string]any{"tid": tenantA, "oid": mailboxA}),
		})
	}
	k := &keeper{perUser: true}
	c := s.client(t, func(c *Config) { c.ClientSecret, c.ClientCertificateFile, c.Delegated = "", file, k })
	in, err := c.ExchangeCode(t.Context(), CodeExchange{Tenant: tenantA, Code: "c", Verifier: "v"})
	if err != nil {
		t.Fatal(err)
	}
	k.token = in.RefreshToken
	if _, err := c.Event(t.Context(), boxA(), "e1"); err != nil || proved != 2 {
		t.Errorf("%v after %d proofs", err, proved)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExchangeCode(t.Context(), CodeExchange{Tenant: tenantA, Code: "c", Verifier: "v"}); KindOf(err) != KindTenant {
		t.Errorf("without the file: %v", err)
	}
}

func certificate(t *testing.T) (file string, key *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pairsync"}, NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	file = filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, key
}
