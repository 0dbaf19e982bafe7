package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"pairsync/internal/config"
	"pairsync/internal/graph"
	"pairsync/internal/probe"
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
			took, err := probe.Prober{}.Reach(ctx, host.url)
			if err != nil {
				return unwell(err, cmp.Or(probe.Remedy(err), "check that it can be reached from here")+" ("+host.setting+")")
			}
			return well("%s answers after %s", host.url.Host, took.Round(time.Millisecond))
		})
	}
}

// handshake does what Graph does before it accepts a subscription: the door must echo a token.
func (d *doctor) handshake(ctx context.Context, cfg config.Config) {
	for _, path := range []string{"notifications", "lifecycle"} {
		d.check(ctx, "public URL, "+path, func(ctx context.Context) finding {
			if err := (probe.Prober{}).Handshake(ctx, cfg.PublicURL.JoinPath("graph", path)); err != nil {
				return unwell(err, cmp.Or(probe.Remedy(err), "start the webhook role and let PAIRSYNC_PUBLIC_URL lead to it"))
			}
			return well("echoes the validation token")
		})
	}
}
