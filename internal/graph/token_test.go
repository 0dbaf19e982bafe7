package graph

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The four ways of proving who we are, as they reach the token endpoint.
func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate := filepath.Join(dir, "app.pem")
	writeCertificate(t, certificate)
	pfx := writePFX(t, certificate)
	federated := filepath.Join(dir, "token")
	if err := os.WriteFile(federated, []byte("federated-assertion"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		change func(*Config)
		want   func(form url.Values) bool
	}{
		{"secret", func(*Config) {}, func(f url.Values) bool { return f.Get("client_secret") == "hush" }},
		{"certificate", func(c *Config) { c.ClientSecret, c.ClientCertificateFile = "", certificate }, func(f url.Values) bool {
			return strings.Count(f.Get("client_assertion"), ".") == 2 && f.Get("client_assertion_type") != ""
		}},
		{"PFX", func(c *Config) { c.ClientSecret, c.ClientCertificateFile = "", pfx }, func(f url.Values) bool {
			return strings.Count(f.Get("client_assertion"), ".") == 2
		}},
		{"workload identity", func(c *Config) { c.ClientSecret, c.FederatedTokenFile = "", federated }, func(f url.Values) bool {
			return f.Get("client_assertion") == "federated-assertion"
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, answer(http.StatusOK, plainEvent))
			var form url.Values
			var path string
			s.token = func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				form, path = r.PostForm, r.URL.Path
				s.issue(w)
			}
			if err := s.client(t, tc.change).CheckToken(t.Context(), tenantA); err != nil {
				t.Fatal(err)
			}
			if !tc.want(form) || form.Get("client_id") != "app" || form.Get("grant_type") != "client_credentials" {
				t.Errorf("form %v", form)
			}
			if !strings.Contains(form.Get("scope"), "/.default") || path != "/"+tenantA+"/oauth2/v2.0/token" {
				t.Errorf("scope %q at %s", form.Get("scope"), path)
			}
		})
	}
}

func writeCertificate(t *testing.T, path string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writePFX packs the certificate as PFX where openssl is at hand; elsewhere it gives the PEM file again.
func writePFX(t *testing.T, certificate string) string {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("no openssl: PFX is not tried")
		return certificate
	}
	pfx := filepath.Join(t.TempDir(), "app.pfx")
	out, err := exec.CommandContext(t.Context(), openssl, "pkcs12", "-export", "-in", certificate, "-inkey", certificate,
		"-out", pfx, "-passout", "pass:", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-legacy").CombinedOutput()
	if err != nil {
		t.Logf("this openssl makes no PFX that can be read: %v: %s", err, out)
		return certificate
	}
	return pfx
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		status int
		body   string
		kind   Kind
		reason string
	}{
		{"wrong secret", 401, `{"error":"invalid_client","error_codes":[7000215],"trace_id":"t-1"}`, KindTenant, ReasonSecretWrong},
		{"expired secret", 401, `{"error":"invalid_client","error_codes":[7000222]}`, KindTenant, ReasonSecretExpired},
		{"some other credential trouble", 401, `{"error":"invalid_client","error_codes":[700027]}`, KindTenant, ReasonCredentialRefused},
		{"not in the tenant", 400, `{"error":"unauthorized_client","error_codes":[700016]}`, KindTenant, ReasonAppNotInTenant},
		{"disabled", 400, `{"error":"unauthorized_client","error_codes":[7000112]}`, KindTenant, ReasonAppDisabled},
		{"no consent", 400, `{"error":"invalid_grant","error_codes":[65001],"suberror":"consent_required"}`, KindTenant, ReasonConsentMissing},
		{"consent required", 400, `{"error":"consent_required"}`, KindTenant, ReasonConsentMissing},
		{"sign in again", 400, `{"error":"invalid_grant","error_codes":[50173]}`, KindSignIn, ReasonSignInRequired},
		{"conditional access", 400, `{"error":"interaction_required","error_codes":[53003]}`, KindSignIn, ReasonSignInRequired},
		{"no such tenant", 400, `{"error":"invalid_request","error_codes":[90002]}`, KindTenant, ReasonTenantNotFound},
		{"no such tenant, newer", 400, `{"error":"invalid_tenant","error_codes":[90002]}`, KindTenant, ReasonTenantNotFound},
		{"busy", 503, `{"error":"temporarily_unavailable"}`, KindUnavailable, ReasonServerError},
		{"ill", 500, `oops`, KindUnavailable, ReasonServerError},
		{"too many", 429, `{}`, KindThrottled, ReasonThrottled},
		{"a page of something", 404, `<html>`, KindUnavailable, ReasonUnreadableAnswer},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, answer(http.StatusOK, plainEvent))
			s.token = answer(tc.status, tc.body, "Retry-After", "7")
			_, err := s.client(t).Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != tc.kind || e.Reason != tc.reason || e.Status != tc.status || e.RetryAfter != 7*time.Second {
				t.Errorf("got %+v", err)
			}
			if strings.Contains(tc.body, "t-1") && e.RequestID != "t-1" {
				t.Errorf("request-id %q", e.RequestID)
			}
			if len(s.seen()) != 0 {
				t.Error("Graph was called without a token")
			}
		})
	}
	t.Run("a published refusal", func(t *testing.T) {
		t.Parallel()
		s := newStandIn(t, nil)
		s.token = answer(http.StatusBadRequest, string(fixture(t, "aadsts-error-invalid-scope__entra-reference-error-codes.json")))
		err := s.client(t).CheckToken(t.Context(), tenantA)
		if KindOf(err) != KindTenant {
			t.Errorf("got %v", err)
		}
	})
}

// A thousand mailboxes of an organisation without consent must not become a thousand questions; the one who has just given
// it must not be told what was true before.
func TestRefusalIsRememberedButNotByCheck(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, plainEvent))
	var mu sync.Mutex
	asked, refuse := 0, true
	s.token = func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if refuse {
			answer(http.StatusBadRequest, `{"error":"consent_required"}`)(w, r)
			return
		}
		s.issue(w)
	}
	c := s.client(t)
	for range 20 {
		if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); KindOf(err) != KindTenant {
			t.Fatal(err)
		}
	}
	mu.Lock()
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	refuse = false
	mu.Unlock()
	if err := c.CheckToken(t.Context(), tenantA); err != nil {
		t.Error(err)
	}
	if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); err != nil {
		t.Error(err)
	}
}

func TestTokenIsRenewedAheadOfItsEnd(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, plainEvent))
	s.token = func(w http.ResponseWriter, _ *http.Request) {
		s.issued.Add(1)
		writeJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 60, "access_token": "short"})
	}
	c := s.client(t)
	for range 2 {
		if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if s.issued.Load() < 2 {
		t.Error("a token with a minute left was used again")
	}
}

// When Entra is away, a token that is merely due for renewal still serves.
func TestOldTokenServesWhileEntraIsAway(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, plainEvent))
	first := true
	s.token = func(w http.ResponseWriter, r *http.Request) {
		if !first {
			answer(http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`)(w, r)
			return
		}
		first = false
		writeJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 60, "access_token": "short"})
	}
	c := s.client(t)
	for range 3 {
		if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nonsense := filepath.Join(dir, "nonsense.pem")
	if err := os.WriteFile(nonsense, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(*Config){
		"plain http elsewhere":           func(c *Config) { c.URL = "http://graph.example/v1.0" },
		"plain http authority elsewhere": func(c *Config) { c.AuthorityURL = "http://login.example" },
		"no scheme":                      func(c *Config) { c.URL = "graph.microsoft.com/v1.0" },
		"a query":                        func(c *Config) { c.URL = "https://graph.example/v1.0?x=1" },
		"a password":                     func(c *Config) { c.AuthorityURL = "https://u:p@login.example" },
		"no client":                      func(c *Config) { c.ClientID = "" },
		"no credential":                  func(c *Config) { c.ClientSecret = "" },
		"no certificate file":            func(c *Config) { c.ClientSecret, c.ClientCertificateFile = "", filepath.Join(dir, "none") },
		"no certificate in it":           func(c *Config) { c.ClientSecret, c.ClientCertificateFile = "", nonsense },
		"negative":                       func(c *Config) { c.Concurrency = -1 },
		"mailbox above process":          func(c *Config) { c.Concurrency, c.MailboxConcurrency = 2, 3 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{ClientID: "app", ClientSecret: "hush-hush"}
			change(&cfg)
			_, err := New(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "hush-hush") {
				t.Errorf("the secret is in %v", err)
			}
		})
	}
	if _, err := New(Config{ClientID: "app", ClientSecret: "x"}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("Microsoft's own addresses: %v", err)
	}
	if _, err := New(Config{ClientID: "app", ClientSecret: "x", AuthorityURL: "https://login.partner.example", URL: "https://graph.partner.example/v1.0/"},
		prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("a private cloud: %v", err)
	}
}
