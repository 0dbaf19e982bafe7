package graph

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Delegated keeps the sign-ins of people who let pairsync into their own calendar only. The tokens are secrets: who keeps them,
// seals them.
type Delegated interface {
	// PerUser says whether the mailboxes of a tenant are reached with their owners' own tokens. The answer is remembered for a
	// minute.
	PerUser(ctx context.Context, tenant string) (bool, error)
	// RefreshToken gives the newest refresh token of a mailbox's owner, and the empty string when there is none.
	RefreshToken(ctx context.Context, mb Mailbox) (string, error)
	// SaveRefreshToken puts newest in the place of used, unless something newer has come there meanwhile.
	SaveRefreshToken(ctx context.Context, mb Mailbox, used, newest string) error
}

// AuthorizeRequest begins a person's sign-in.
type AuthorizeRequest struct {
	// Tenant is the Entra tenant id of their organisation.
	Tenant      string
	RedirectURL string
	// State comes back with the outcome.
	State string
	// Verifier is the secret of PKCE, from oauth2.GenerateVerifier; the URL holds its hash.
	Verifier string
	// LoginHint is the person's address; it may be empty.
	LoginHint string
}

// CodeExchange ends a person's sign-in.
type CodeExchange struct {
	Tenant string
	// RedirectURL and Verifier are those that the sign-in began with.
	RedirectURL string
	Verifier    string
	Code        string
}

// SignIn is a person who let us in.
type SignIn struct {
	// Tenant and User are the Entra ids of the organisation and of the person, lower case, proved by having come from the token
	// endpoint.
	Tenant string
	User   string
	// Name is what the person signs in with, mostly an address. It proves nothing.
	Name string
	// RefreshToken is a secret.
	RefreshToken string
	// Scopes are what was granted, which may be less than was asked.
	Scopes []string
}

// SignInScopes is what a person is asked to allow.
func SignInScopes() []string {
	return []string{"openid", "profile", "offline_access", "Calendars.ReadWrite", "MailboxSettings.Read"}
}

// AuthorizeURL is where a person signs in and lets us into their own calendar.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
func (c *Client) AuthorizeURL(req AuthorizeRequest) string {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(req.Verifier), oauth2.SetAuthURLParam("response_mode", "query")}
	if req.LoginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", req.LoginHint))
	}
	return c.signIns.config(req.Tenant, req.RedirectURL).AuthCodeURL(req.State, options...)
}

// ExchangeCode turns the code that a sign-in came back with into the person's tokens. KindSignIn means that the code is worth
// nothing: too old, used before, or not from the sign-in that the verifier belongs to.
func (c *Client) ExchangeCode(ctx context.Context, ex CodeExchange) (SignIn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.signIns.ask(ctx, func(ctx context.Context) (*oauth2.Token, error) {
		return c.signIns.config(ex.Tenant, ex.RedirectURL).Exchange(ctx, ex.Code, oauth2.VerifierOption(ex.Verifier))
	})
	if err != nil {
		return SignIn{}, err
	}
	unreadable := func(err error) error {
		return &Error{Kind: KindInvalid, Reason: ReasonUnreadableAnswer, Operation: string(opSignIn), cause: err}
	}
	who, ok := token.Extra("id_token").(string)
	if !ok {
		return SignIn{}, unreadable(errors.New("the sign-in brought no id token"))
	}
	identity, err := readClaims(who)
	switch {
	case err != nil:
		return SignIn{}, unreadable(err)
	case identity.Object == "" || token.RefreshToken == "":
		return SignIn{}, unreadable(errors.New("the sign-in names nobody or brought no refresh token"))
	}
	granted, ok := token.Extra("scope").(string)
	if !ok {
		granted = ""
	}
	in := SignIn{
		Tenant: strings.ToLower(identity.Tenant), User: strings.ToLower(identity.Object),
		Name: cmp.Or(identity.PreferredUsername, identity.UPN), RefreshToken: token.RefreshToken, Scopes: strings.Fields(granted),
	}
	c.signIns.signedIn(Mailbox{Tenant: in.Tenant, User: in.User})
	return in, nil
}

// perUserMemory is for how long a tenant's method is not asked for again.
const perUserMemory = time.Minute

// signIns gets access tokens with people's refresh tokens, and keeps them while they last.
type signIns struct {
	authority *url.URL
	clientID  string
	secret    string
	http      *http.Client
	// kept is nil when nobody signs in here.
	kept    Delegated
	observe func(status int, kind Kind, took time.Duration)

	mu        sync.Mutex
	mailboxes map[Mailbox]*tenantToken
	methods   map[string]method
}

// method is whether a tenant's people sign in themselves, as it was at the time.
type method struct {
	perUser bool
	at      time.Time
}

func newSignIns(cfg Config, authority *url.URL, base http.RoundTripper) (*signIns, error) {
	s := &signIns{
		authority: authority, clientID: cfg.ClientID, secret: cfg.ClientSecret, kept: cfg.Delegated,
		observe:   func(int, Kind, time.Duration) {},
		mailboxes: make(map[Mailbox]*tenantToken), methods: make(map[string]method),
	}
	transport := base
	if cfg.ClientSecret == "" {
		prove, err := newAssertion(cfg)
		if err != nil {
			return nil, err
		}
		transport = asserting{base: base, prove: prove}
	}
	s.http = &http.Client{Transport: transport, CheckRedirect: noRedirect}
	return s, nil
}

func (s *signIns) config(tenant, redirect string) *oauth2.Config {
	base := s.authority.JoinPath(tenant, "oauth2", "v2.0")
	return &oauth2.Config{
		ClientID: s.clientID, ClientSecret: s.secret, RedirectURL: redirect, Scopes: SignInScopes(),
		Endpoint: oauth2.Endpoint{
			AuthURL: base.JoinPath("authorize").String(), TokenURL: base.JoinPath("token").String(), AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// ask makes one call to the token endpoint.
func (s *signIns) ask(ctx context.Context, call func(context.Context) (*oauth2.Token, error)) (*oauth2.Token, error) {
	started := time.Now()
	token, err := call(context.WithValue(ctx, oauth2.HTTPClient, s.http))
	if err != nil {
		failure := classifySignIn(ctx, err, time.Now())
		s.observe(failure.Status, failure.Kind, time.Since(started))
		return nil, failure
	}
	s.observe(http.StatusOK, "", time.Since(started))
	return token, nil
}
