package subscriptions

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/model"
)

// tenantChecks is how many organisations are tried at once, and tenantCheckTime how long one may take.
const (
	tenantChecks    = 16
	tenantCheckTime = 10 * time.Second
)

// tenantWatch remembers, for organisations that are not connected, when they are tried next.
type tenantWatch struct {
	tries map[string]int
	next  map[string]time.Time
}

// watchTenants tries, until ctx ends, whether organisations that have not given their consent yet, or whose access failed,
// let us in by now: consent may have been given before the platform named them, and without any session there is no
// subscription that would find out.
func (r *Renewer) watchTenants(ctx context.Context) {
	w := tenantWatch{tries: map[string]int{}, next: map[string]time.Time{}}
	for ctx.Err() == nil {
		r.checkTenants(ctx, &w, time.Now())
		r.pause(ctx, r.cfg.TenantProbeMin/2+rand.N(r.cfg.TenantProbeMin), false)
	}
}

// checkTenants tries those whose time has come.
func (r *Renewer) checkTenants(ctx context.Context, w *tenantWatch, now time.Time) {
	tenants, err := r.store.Tenants(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "can't list tenants", slog.Any("error", err))
		}
		return
	}
	var checks errgroup.Group
	checks.SetLimit(tenantChecks)
	waiting := make(map[string]bool, len(tenants))
	for _, t := range tenants {
		if t.Method != model.MethodDomainWide || t.Status != model.TenantPendingConsent && t.Status != model.TenantFailing {
			continue
		}
		waiting[t.ID] = true
		if now.Before(w.next[t.ID]) {
			continue
		}
		w.tries[t.ID]++
		w.next[t.ID] = now.Add(backoff{r.cfg.TenantProbeMin, r.cfg.TenantProbeMax}.after(w.tries[t.ID]))
		checks.Go(func() error {
			r.checkTenant(ctx, t)
			return nil
		})
	}
	for id := range w.next {
		if !waiting[id] {
			delete(w.next, id)
			delete(w.tries, id)
		}
	}
	_ = checks.Wait() // The checks give no errors.
}

// checkTenant asks for a token and writes what that says of the tenant. When the mailboxes were what failed, a token says
// nothing: their own probes find out, and here only whether there are still some to fail.
func (r *Renewer) checkTenant(ctx context.Context, t model.Tenant) {
	ctx, cancel := context.WithTimeout(ctx, tenantCheckTime)
	defer cancel()
	err := r.graph.CheckToken(ctx, t.ID)
	if err == nil {
		if t.Status != model.TenantFailing || !denied(t.StatusReason) || !r.shut(ctx, t.ID) {
			r.tenantWell(ctx, t.ID)
		}
		return
	}
	if failure, ok := errors.AsType[*graph.Error](err); ok && failure.Kind == graph.KindTenant {
		r.tenantFailed(ctx, t.ID, failure)
	}
}
