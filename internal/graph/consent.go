package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// ConsentURL is where an organisation's admin grants the application what it needs, for the whole tenant at once. state comes
// back to redirect with the outcome; nothing else that comes back proves anything.
// https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
func (c *Client) ConsentURL(tenant, state, redirect string) string {
	return c.signIns.authority.JoinPath(tenant, "v2.0", "adminconsent").String() + "?" + url.Values{
		"client_id": {c.signIns.clientID}, "scope": {c.tokens.scope}, "redirect_uri": {redirect}, "state": {state},
	}.Encode()
}

// TokenTenant gets a new token for the tenant from Entra, whatever is in the cache, and tells the tenant that it is for and the
// application permissions in it, which are sorted. Having come from the token endpoint proves both. A consent takes a little
// to reach that endpoint: no roles at first, or KindTenant, may only mean that it is too early.
func (c *Client) TokenTenant(ctx context.Context, tenant string) (tid string, roles []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.tokens.renew(ctx, tenant)
	if err != nil {
		return "", nil, err
	}
	claims, err := readClaims(token)
	if err != nil {
		return "", nil, &Error{Kind: KindInvalid, Reason: ReasonUnreadableAnswer, Operation: string(opToken), cause: err}
	}
	slices.Sort(claims.Roles)
	return strings.ToLower(claims.Tenant), claims.Roles, nil
}

// renew gets a token that nobody has had before.
func (t *tokens) renew(ctx context.Context, tenant string) (string, error) {
	tt := t.tenant(tenant)
	select {
	case tt.busy <- struct{}{}:
	case <-ctx.Done():
		return "", ended(ctx, opToken)
	}
	defer func() { <-tt.busy }()
	tt.credential = nil // Its cache would answer.
	started := time.Now()
	token, err := t.acquire(ctx, tt, tenant)
	if err != nil {
		failure := classifyToken(ctx, err, time.Now())
		t.observe(failure.Status, failure.Kind, time.Since(started))
		return "", failure
	}
	t.observe(http.StatusOK, "", time.Since(started))
	tt.refused = nil
	tt.current.Store(&token)
	return token.Token, nil
}

// claims are what is read of a token. Nothing checks the signature: it is only ever done to what the token endpoint gave us
// over a connection of our own.
type claims struct {
	Tenant            string   `json:"tid"`
	Object            string   `json:"oid"`
	PreferredUsername string   `json:"preferred_username"`
	UPN               string   `json:"upn"`
	Roles             []string `json:"roles"`
	Scopes            string   `json:"scp"`
}

func readClaims(token string) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, errors.New("reading a token: it is no JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return claims{}, errors.New("reading a token: its claims are no base64")
	}
	var c claims
	if err := json.Unmarshal(raw, &c, lenient()); err != nil {
		return claims{}, errors.New("reading a token: its claims are no JSON")
	}
	if c.Tenant == "" {
		return claims{}, errors.New("reading a token: it names no tenant")
	}
	return c, nil
}
