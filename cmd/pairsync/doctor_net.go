package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"pairsync/internal/config"
	"pairsync/internal/graph"
)

// tokens asks for a token in every organisation that is meant to be connected.
func (d *doctor) tokens(ctx context.Context, client *graph.Client, tenants []string, known bool) {
	if !known {
		d.tell("sign-in", well("not tried, because the organisations are in a database that could not be read"))
		return
	}
	if len(tenants) == 0 {
		d.tell("sign-in", well("no organisation yet, so nothing to sign in to"))
		return
	}
	for _, tenant := range tenants {
		d.check(ctx, "sign-in to "+tenant, func(ctx context.Context) finding {
			if err := client.CheckToken(ctx, tenant); err != nil {
				return unwell(err, signInRemedy(err))
			}
			return well("got a token")
		})
	}
}

// signInRemedy says how a refused sign-in is mended.
func signInRemedy(err error) string {
	failure, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return "check PAIRSYNC_AUTHORITY_URL"
	}
	switch failure.Reason {
	case graph.ReasonConsentMissing, graph.ReasonAppNotInTenant:
		return "an admin of this organisation has to consent to the application"
	case graph.ReasonSecretExpired, graph.ReasonSecretWrong:
		return "make a new client secret in Entra and set PAIRSYNC_CLIENT_SECRET"
	case graph.ReasonCredentialRefused, graph.ReasonCredentialUnreadable:
		return "check PAIRSYNC_CLIENT_ID and the credential against the application in Entra"
	case graph.ReasonAppDisabled:
		return "an admin of this organisation has disabled the application"
	case graph.ReasonTenantNotFound:
		return "there is no such organisation at PAIRSYNC_AUTHORITY_URL"
	default:
		return "check that PAIRSYNC_AUTHORITY_URL can be reached from here"
	}
}

// reach asks Graph and the authority for anything: every answer shows that they can be reached.
func (d *doctor) reach(ctx context.Context, cfg config.Config) {
	for _, host := range []struct {
		name, setting string
		url           *url.URL
	}{
		{"Microsoft Graph", "PAIRSYNC_GRAPH_URL", cfg.GraphURL},
		{"authority", "PAIRSYNC_AUTHORITY_URL", cfg.AuthorityURL},
	} {
		d.check(ctx, host.name, func(ctx context.Context) finding {
			began := time.Now()
			status, _, err := fetch(ctx, http.MethodGet, host.url.String())
			if err != nil {
				return unwell(err, "check "+host.setting+", DNS, the firewall and the certificates (SSL_CERT_FILE)")
			}
			if status >= http.StatusInternalServerError {
				return unwell(fmt.Errorf("%s answers %d", host.url.Host, status), "try again later")
			}
			return well("%s answers after %s", host.url.Host, time.Since(began).Round(time.Millisecond))
		})
	}
}

// handshake does what Graph does before it accepts a subscription: the door must echo a token.
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
func (d *doctor) handshake(ctx context.Context, cfg config.Config) {
	for _, path := range []string{"notifications", "lifecycle"} {
		d.check(ctx, "public URL, "+path, func(ctx context.Context) finding {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // As long as Graph waits.
			defer cancel()
			token := "doctor: " + rand.Text() + " ü+&"
			door := cfg.PublicURL.JoinPath("graph", path)
			door.RawQuery = url.Values{"validationToken": {token}}.Encode()
			status, body, err := fetch(ctx, http.MethodPost, door.String())
			const mend = "start the webhook role and let PAIRSYNC_PUBLIC_URL lead to it from the internet, with a certificate that browsers trust"
			switch {
			case err != nil:
				return unwell(err, mend)
			case status != http.StatusOK:
				return unwell(fmt.Errorf("answers %d to the handshake, want 200", status), mend)
			case body != token:
				return unwell(errors.New("does not echo the validation token"), "something in between answers instead of pairsync, or changes the query")
			}
			return well("echoes the validation token")
		})
	}
}

// fetch sends a request without a body. Its errors don't hold the URL's query.
func fetch(ctx context.Context, method, target string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		return 0, "", fmt.Errorf("making a request: %w", err)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", fmt.Errorf("calling %s: %w", req.URL.Host, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return 0, "", fmt.Errorf("reading the answer of %s: %w", req.URL.Host, err)
	}
	return res.StatusCode, string(body), nil
}
