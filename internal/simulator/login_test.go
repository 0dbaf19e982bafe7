package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestTokenErrorsAreEntras(t *testing.T) {
	t.Parallel()
	cfg := Config{Apps: []App{{ClientID: appID, Secret: "right"}, {ClientID: "old-app", Secret: "right", SecretExpired: true}}}
	base := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {"right"}, "scope": {graphAudience + "/.default"},
	}
	tests := map[string]struct {
		change  func(url.Values)
		tenant  string
		consent Consent
		status  int
		err     string
		number  float64
	}{
		"wrong secret":      {change: func(v url.Values) { v.Set("client_secret", "wrong") }, status: 401, err: "invalid_client", number: 7000215},
		"expired secret":    {change: func(v url.Values) { v.Set("client_id", "old-app") }, status: 401, err: "invalid_client", number: 7000222},
		"no credential":     {change: func(v url.Values) { v.Del("client_secret") }, status: 401, err: "invalid_client", number: 7000218},
		"unknown app":       {change: func(v url.Values) { v.Set("client_id", "nobody") }, status: 400, err: "unauthorized_client", number: 700016},
		"unknown tenant":    {tenant: "nowhere.example", status: 400, err: "invalid_request", number: 90002},
		"no consent":        {consent: ConsentMissing, status: 400, err: "unauthorized_client", number: 700016},
		"wrong scope":       {change: func(v url.Values) { v.Set("scope", "https://x/.default") }, status: 400, err: "invalid_scope", number: 70011},
		"no client id":      {change: func(v url.Values) { v.Del("client_id") }, status: 400, err: "invalid_request", number: 900144},
		"no grant":          {change: func(v url.Values) { v.Del("grant_type") }, status: 400, err: "invalid_request", number: 900144},
		"unknown grant":     {change: func(v url.Values) { v.Set("grant_type", "magic") }, status: 400, err: "unsupported_grant_type", number: 70003},
		"garbled assertion": {change: func(v url.Values) { v.Set("client_assertion", "x") }, status: 401, err: "invalid_client", number: 700027},
		"wrong password": {change: func(v url.Values) {
			v.Set("grant_type", "password")
			v.Set("username", "nobody@contoso.example")
			v.Set("password", "x")
		}, status: 400, err: "invalid_grant", number: 50126},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			o := startOffice(t, s)
			if _, err := o.AddTenant(Tenant{ID: contoso, Name: "Contoso", Domain: "contoso.example", Consent: test.consent}); err != nil {
				t.Fatal(err)
			}
			form := url.Values{}
			for k, v := range base {
				form[k] = slices.Clone(v)
			}
			if test.change != nil {
				test.change(form)
			}
			tenant := contoso
			if test.tenant != "" {
				tenant = test.tenant
			}
			status, body := o.form(t, tenant, form)
			if status != test.status || body["error"] != test.err {
				t.Errorf("%d %v, want %d %s", status, body["error"], test.status, test.err)
			}
			if codes, _ := body["error_codes"].([]any); !slices.Contains(codes, any(test.number)) {
				t.Errorf("error_codes %v, want %v", codes, test.number)
			}
			if !strings.HasPrefix(text(t, body, "error_description"), "AADSTS") {
				t.Errorf("description %v", body["error_description"])
			}
		})
	}
}

func TestTokenVerifiesAgainstTheDiscoveredKeys(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	get := func(u string) map[string]any {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		status, body := o.do(t, req)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", u, status)
		}
		return body
	}
	// The domain names the organisation as well as the id does.
	conf := get(o.url + "/contoso.example/v2.0/.well-known/openid-configuration")
	if got := text(t, conf, "token_endpoint"); got != o.url+"/"+contoso+"/oauth2/v2.0/token" {
		t.Errorf("token endpoint %s", got)
	}
	keys := get(text(t, conf, "jwks_uri"))["keys"].([]any)
	key := keys[0].(map[string]any)
	n, err := base64.RawURLEncoding.DecodeString(text(t, key, "n"))
	if err != nil {
		t.Fatal(err)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	var c claims
	token, err := jwt.ParseWithClaims(o.token, &c, func(*jwt.Token) (any, error) { return public, nil }, jwt.WithValidMethods([]string{"RS256"}))
	if err != nil {
		t.Fatal(err)
	}
	if token.Header["kid"] != key["kid"] {
		t.Errorf("kid %v, published %v", token.Header["kid"], key["kid"])
	}
	if c.TenantID != contoso || c.AppID != appID || !slices.Contains(c.Audience, graphAudience) || !slices.Contains(c.Roles, "Calendars.ReadWrite") {
		t.Errorf("claims %+v", c)
	}
	instance := get(o.url + "/common/discovery/instance?api-version=1.1&authorization_endpoint=" + url.QueryEscape("https://x/"+contoso+"/oauth2/v2.0/authorize"))
	if got := text(t, instance, "tenant_discovery_endpoint"); !strings.Contains(got, contoso) {
		t.Errorf("discovery endpoint %s", got)
	}
}

func TestCertificateAndFederatedCredentials(t *testing.T) {
	t.Parallel()
	right, wrong := newKey(t), newKey(t)
	const kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertion := func(key *rsa.PrivateKey, issuer string, life time.Duration) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.RegisteredClaims{
			Issuer: issuer, Subject: issuer, ExpiresAt: jwt.NewNumericDate(time.Now().Add(life)),
		}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	tests := map[string]struct {
		keys      []*rsa.PublicKey
		assertion string
		kind      string
		status    int
	}{
		"right key":          {[]*rsa.PublicKey{&wrong.PublicKey, &right.PublicKey}, assertion(right, appID, time.Hour), kind, 200},
		"wrong key":          {[]*rsa.PublicKey{&right.PublicKey}, assertion(wrong, appID, time.Hour), kind, 401},
		"wrong issuer":       {[]*rsa.PublicKey{&right.PublicKey}, assertion(right, "somebody", time.Hour), kind, 401},
		"expired":            {[]*rsa.PublicKey{&right.PublicKey}, assertion(right, appID, -time.Hour), kind, 401},
		"wrong kind":         {nil, assertion(right, appID, time.Hour), "jwt", 401},
		"federated":          {nil, assertion(right, "https://issuer.example", time.Hour), kind, 200},
		"federated, expired": {nil, assertion(right, "https://issuer.example", -time.Hour), kind, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Config{Apps: []App{{ClientID: appID, Keys: test.keys}}})
			if err != nil {
				t.Fatal(err)
			}
			o := startOffice(t, s)
			if _, err := o.AddTenant(Tenant{ID: contoso}); err != nil {
				t.Fatal(err)
			}
			status, body := o.form(t, contoso, url.Values{
				"grant_type": {"client_credentials"}, "client_id": {appID}, "scope": {graphAudience + "/.default"},
				"client_assertion": {test.assertion}, "client_assertion_type": {test.kind},
			})
			if status != test.status {
				t.Errorf("%d %v, want %d", status, body, test.status)
			}
		})
	}
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPersonsToken(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	_, body := o.form(t, contoso, url.Values{"grant_type": {"password"}, "client_id": {appID}, "username": {email("Grace")}, "password": {"x"}})
	grace := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+text(t, body, "access_token")) }
	if got := o.graph(t, http.StatusOK, http.MethodGet, "/me", nil, grace); got["mail"] != email("Grace") {
		t.Errorf("/me is %v", got)
	}
	o.graph(t, http.StatusAccepted, http.MethodPost, "/me/events/"+b.Copies[email("Grace")]+"/accept", nil, grace)
	if v, err := o.Event(b.ID); err != nil || v.Attendees[0].Response != answerAccepted {
		t.Errorf("organizer's copy %+v, %v", v, err)
	}
	// Another's mailbox is closed to a person, and /me to the application.
	if got := o.graph(t, http.StatusForbidden, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID, nil, grace); code(got) != "ErrorAccessDenied" {
		t.Errorf("code %s", code(got))
	}
	o.graph(t, http.StatusBadRequest, http.MethodGet, "/me", nil)
	d := newDoor(t)
	sub := o.graph(t, http.StatusCreated, http.MethodPost, "/subscriptions", map[string]any{
		"changeType": "updated", "notificationUrl": d.url, "resource": "me/events", "expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime),
	}, grace)
	o.graph(t, http.StatusNotFound, http.MethodGet, "/subscriptions/"+text(t, sub, "id"), nil, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+o.appToken(t, "another-app"))
	})
}

func (o *office) appToken(t *testing.T, app string) string {
	t.Helper()
	_, body := o.form(t, contoso, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app}, "client_secret": {"s"}, "scope": {graphAudience + "/.default"},
	})
	return text(t, body, "access_token")
}
