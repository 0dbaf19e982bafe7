package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// graphAudience is what a token for Graph names as its audience, in every public-cloud tenant.
const graphAudience = "https://graph.microsoft.com"

// tokens signs and checks access tokens. Entra's access tokens for Graph are of version 1.0.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type tokens struct {
	mu      sync.RWMutex
	key     *rsa.PrivateKey
	kid     string
	checked map[string]*claims
}

// claims are those of a version 1.0 access token.
type claims struct {
	jwt.RegisteredClaims

	TenantID string   `json:"tid"`
	AppID    string   `json:"appid"`
	ObjectID string   `json:"oid"`
	Roles    []string `json:"roles,omitempty"`
	Scope    string   `json:"scp,omitempty"`
	UPN      string   `json:"upn,omitempty"`
	IDType   string   `json:"idtyp,omitempty"`
	Version  string   `json:"ver"`
	// Session is the sign-in behind a person's token; empty for one that was given for a password.
	Session string `json:"sid,omitempty"`
}

// person says whether the token is a person's and not the application's own.
func (c *claims) person() bool { return c.Scope != "" }

// may says whether the token carries any of the permissions.
func (c *claims) may(permissions []string) bool {
	have := c.Roles
	if c.person() {
		have = strings.Fields(c.Scope)
	}
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(have, p) })
}

func newTokens() (*tokens, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	t := &tokens{}
	t.use(key)
	return t, nil
}

func (t *tokens) use(key *rsa.PrivateKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := sha256.Sum256(key.N.Bytes())
	t.key, t.kid, t.checked = key, base64.RawURLEncoding.EncodeToString(sum[:20]), map[string]*claims{}
}

func (t *tokens) issue(c jwt.Claims) (string, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	token.Header["kid"], token.Header["x5t"] = t.kid, t.kid
	return token.SignedString(t.key)
}

// check returns the claims of a token that is good now. A token once verified is remembered, since verifying costs more
// than all the rest of a call.
func (t *tokens) check(token string) (*claims, error) {
	t.mu.RLock()
	known := t.checked[token]
	t.mu.RUnlock()
	if known != nil {
		if time.Now().After(known.ExpiresAt.Time) {
			return nil, jwt.ErrTokenExpired
		}
		return known, nil
	}
	c := &claims{}
	_, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) {
		t.mu.RLock()
		defer t.mu.RUnlock()
		return &t.key.PublicKey, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(graphAudience), jwt.WithExpirationRequired())
	if err != nil {
		return nil, fmt.Errorf("checking a token: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.checked) > 5_000 {
		clear(t.checked)
	}
	t.checked[token] = c
	return c, nil
}

// jwks is the public key as the discovery document's keys endpoint shows it.
func (t *tokens) jwks() map[string]any {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return map[string]any{"keys": []map[string]any{{
		"kty": "RSA", "use": "sig", "kid": t.kid, "x5t": t.kid,
		"n": base64.RawURLEncoding.EncodeToString(t.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(t.key.E)).Bytes()),
	}}}
}

func (t *tokens) pem() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(t.key)}))
}

func (t *tokens) usePEM(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("the signing key is not PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("reading the signing key: %w", err)
	}
	t.use(key)
	return nil
}
