package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// expiryMargin is how long before its end a token is no longer used, so that it can't lapse on the way.
const expiryMargin = 2 * time.Minute

// refusalMemory is how long a refusal by Entra answers for all of a tenant's calls: a thousand mailboxes of an
// organisation that withdrew its consent must not ask a thousand times a second.
const refusalMemory = 2 * time.Second

// tokens gets and keeps one access token a tenant. azidentity caches them too, but looking one up there costs more than a
// whole event does to decode, and it can't be told to forget one that Graph refused.
type tokens struct {
	options policy.ClientOptions
	scope   string
	cfg     Config
	observe func(status int, kind Kind, took time.Duration)

	mu      sync.Mutex
	tenants map[string]*tenantToken
}

// tenantToken is one tenant's credential and token. busy holds one token of its own while somebody asks Entra, and guards
// credential and refused.
type tenantToken struct {
	current    atomic.Pointer[azcore.AccessToken]
	busy       chan struct{}
	credential azcore.TokenCredential
	refused    *Error
	refusedAt  time.Time
}

func newTokens(cfg Config, authority, service *url.URL, base http.RoundTripper) (*tokens, error) {
	host := *authority
	if authority.Scheme == "http" {
		host.Scheme = "https"
		base = plainAuthority{host: authority.Host, base: base}
	}
	t := &tokens{
		options: policy.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: host.String() + "/"},
			Transport: &http.Client{Transport: base, CheckRedirect: noRedirect},
			// Waiting is our caller's business: it has a queue for it.
			Retry: policy.RetryOptions{MaxRetries: -1},
		},
		scope:   service.Scheme + "://" + service.Host + "/.default",
		cfg:     cfg,
		observe: func(int, Kind, time.Duration) {},
		tenants: make(map[string]*tenantToken),
	}
	if loopback(service.Hostname()) {
		// A Graph on loopback is no resource that an authority knows by its address.
		t.scope = "https://graph.microsoft.com/.default"
	}
	// The credential is made here once for nothing, so that a bad certificate is known at start.
	if _, err := t.newCredential("00000000-0000-0000-0000-000000000000"); err != nil {
		return nil, err
	}
	return t, nil
}

// newCredential reads the certificate's file each time: a tenant whose credential was refused gets the renewed one.
func (t *tokens) newCredential(tenant string) (azcore.TokenCredential, error) {
	switch {
	case t.cfg.ClientSecret != "":
		return azidentity.NewClientSecretCredential(tenant, t.cfg.ClientID, t.cfg.ClientSecret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: t.options, DisableInstanceDiscovery: true})
	case t.cfg.ClientCertificateFile != "":
		pem, err := os.ReadFile(t.cfg.ClientCertificateFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		certificates, key, err := azidentity.ParseCertificates(pem, nil)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: takes PEM or PFX without a password, with its private key: %w", err)
		}
		return azidentity.NewClientCertificateCredential(tenant, t.cfg.ClientID, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: t.options, DisableInstanceDiscovery: true})
	case t.cfg.FederatedTokenFile != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: t.options, TenantID: tenant, ClientID: t.cfg.ClientID,
			TokenFilePath: t.cfg.FederatedTokenFile, DisableInstanceDiscovery: true,
		})
	}
	return nil, errors.New("no credential: a client secret, a client certificate or a federated token file is needed")
}

// get gives a token for the tenant. rejected is a token that Graph refused, or empty: it will not be given again.
func (t *tokens) get(ctx context.Context, tenant, rejected string) (string, error) {
	tt := t.tenant(tenant)
	if token, ok := tt.usable(time.Now(), rejected); ok {
		return token, nil
	}
	select {
	case tt.busy <- struct{}{}:
	case <-ctx.Done():
		return "", ended(ctx, opToken)
	}
	defer func() { <-tt.busy }()
	now := time.Now()
	if token, ok := tt.usable(now, rejected); ok {
		return token, nil // Somebody else got it while we waited.
	}
	if tt.refused != nil && now.Sub(tt.refusedAt) < refusalMemory {
		again := *tt.refused
		return "", &again
	}
	return t.ask(ctx, tt, tenant, rejected)
}

// check asks Entra even if it has just refused, for somebody who has just mended it.
func (t *tokens) check(ctx context.Context, tenant string) error {
	tt := t.tenant(tenant)
	select {
	case tt.busy <- struct{}{}:
	case <-ctx.Done():
		return ended(ctx, opToken)
	}
	defer func() { <-tt.busy }()
	if _, ok := tt.usable(time.Now(), ""); ok {
		return nil
	}
	_, err := t.ask(ctx, tt, tenant, "")
	return err
}

// ask gets a new token; the caller holds busy.
func (t *tokens) ask(ctx context.Context, tt *tenantToken, tenant, rejected string) (string, error) {
	started := time.Now()
	if rejected != "" {
		// azidentity would answer with the same token from its cache; a new credential has an empty one.
		tt.credential = nil
	}
	token, err := t.acquire(ctx, tt, tenant)
	if err != nil {
		if last := tt.current.Load(); rejected == "" && last != nil && started.Before(last.ExpiresOn) {
			return last.Token, nil // It was only to be renewed ahead of time.
		}
		failure := classifyToken(ctx, err, time.Now())
		t.observe(failure.Status, failure.Kind, time.Since(started))
		if ctx.Err() == nil && failure.Kind != KindUnavailable {
			tt.refused, tt.refusedAt, tt.credential = failure, time.Now(), nil
		}
		return "", failure
	}
	t.observe(http.StatusOK, "", time.Since(started))
	tt.refused = nil
	tt.current.Store(&token)
	return token.Token, nil
}

func (t *tokens) acquire(ctx context.Context, tt *tenantToken, tenant string) (azcore.AccessToken, error) {
	if tt.credential == nil {
		credential, err := t.newCredential(tenant)
		if err != nil {
			return azcore.AccessToken{}, err
		}
		tt.credential = credential
	}
	return tt.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.scope}})
}

func (t *tokens) tenant(id string) *tenantToken {
	t.mu.Lock()
	defer t.mu.Unlock()
	tt := t.tenants[id]
	if tt == nil {
		tt = &tenantToken{busy: make(chan struct{}, 1)}
		t.tenants[id] = tt
	}
	return tt
}

// usable gives the current token unless it is about to lapse, is due for renewal, or is the one that was rejected.
func (tt *tenantToken) usable(now time.Time, rejected string) (string, bool) {
	current := tt.current.Load()
	if current == nil || current.Token == rejected {
		return "", false
	}
	if now.Add(expiryMargin).After(current.ExpiresOn) {
		return "", false
	}
	if !current.RefreshOn.IsZero() && now.After(current.RefreshOn) {
		return "", false
	}
	return current.Token, true
}
