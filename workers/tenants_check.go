package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// spread is a time at random up to d, so that what was put off together does not come together.
func spread(d time.Duration) time.Duration { return rand.N(d + 1) }

// check asks for a token and writes what that says of the organisation. It gives the organisation as it is then, or as it was
// if that can't be told.
func (c *connections) check(ctx context.Context, t model.Tenant) (model.Tenant, error) {
	asking, cancel := context.WithTimeout(ctx, tenantCheckTime)
	defer cancel()
	tid, roles, err := c.token(asking, t.ID)
	status, reason := verdict(t, tid, roles, err)
	if status == model.TenantConnected && t.Status == model.TenantFailing && denied(t.StatusReason) {
		// The mailboxes were what failed, and a token says nothing of them: their own probes find out.
		shut, err := c.store.TenantShut(ctx, t.ID, deniedReasons())
		if err != nil || shut {
			return t, err
		}
	}
	if status == t.Status && reason == t.StatusReason {
		return t, nil
	}
	changed, err := c.store.SetTenantStatus(ctx, t.ID, status, reason)
	if err != nil {
		return t, fmt.Errorf("writing the tenant's status: %w", err)
	}
	if changed {
		c.log.InfoContext(ctx, "a tenant's status changed", slog.String("tenant", t.ID),
			slog.String("status", string(status)), slog.String("reason", reason))
	}
	now, err := c.store.Tenant(ctx, t.ID)
	if err != nil {
		return t, fmt.Errorf("reading the tenant: %w", err)
	}
	return now, nil
}

// verdict says how an organisation stands after an answer of Entra's. Trouble that passes changes nothing.
//
// A token without any permission lets nobody in: the consent is missing, or has not arrived everywhere. Which permissions there
// are is not looked at, because access that Exchange grants by itself (RBAC for Applications) shows in no token; for the same
// reason an organisation that is connected stays so. https://learn.microsoft.com/exchange/permissions-exo/application-rbac
func verdict(t model.Tenant, tid string, roles []string, err error) (model.TenantStatus, string) {
	var failure *graph.Error
	switch {
	case err == nil && !strings.EqualFold(tid, t.ID):
		return model.TenantFailing, graph.ReasonTenantNotFound
	case err == nil && len(roles) > 0:
		return model.TenantConnected, ""
	case err == nil && t.Status == model.TenantConnected:
		return t.Status, t.StatusReason
	case err == nil:
		failure = &graph.Error{Kind: graph.KindTenant, Reason: graph.ReasonConsentMissing}
	default:
		var ok bool
		failure, ok = errors.AsType[*graph.Error](err)
		// An application is asked to sign in where a conditional access policy is in its way.
		if !ok || failure.Kind != graph.KindTenant && failure.Kind != graph.KindSignIn {
			return t.Status, t.StatusReason
		}
	}
	awaited := failure.Reason == graph.ReasonConsentMissing || failure.Reason == graph.ReasonAppNotInTenant
	if t.Status == model.TenantPendingConsent && awaited {
		return model.TenantPendingConsent, failure.Reason
	}
	return model.TenantFailing, failure.Reason
}
