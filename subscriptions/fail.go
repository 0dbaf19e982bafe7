package subscriptions

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// failed writes what a failed step means for the subscription, its mailbox and its tenant, and when to try again.
func (r *Renewer) failed(ctx context.Context, sub model.Subscription, err error) {
	now := time.Now()
	if sub.GraphID == "" {
		sub.GrantedAt = time.Time{} // Nobody is at it any more.
	}
	failure, ok := errors.AsType[*graph.Error](err)
	if !ok || failure.Reason == graph.ReasonCancelled {
		// Our own database, or our own end: the subscription is as it was.
		if !ok {
			r.log.LogAttrs(ctx, slog.LevelError, "can't work on a subscription", slog.String("tenant", sub.Tenant),
				slog.String("participant", sub.Participant), slog.Any("error", err))
		}
		sub.DueAt = now.Add(r.cfg.RetryMin)
		if ok {
			sub.DueAt = now // Released: whoever is there may take it at once.
		}
		r.save(ctx, sub)
		return
	}
	r.metrics.count(resultOf(failure.Kind))
	pause := backoff{r.cfg.RetryMin, r.cfg.RetryMax}
	state, reason := sub.State, sub.Reason
	switch failure.Kind {
	case graph.KindThrottled:
		// As told, and no failure of anybody's.
		sub.DueAt = retryTime(now, sub, pause, failure.RetryAfter, rand.Float64())
		r.save(ctx, sub)
		return
	case graph.KindUnavailable:
		// It passes. The row says how long it has been so only by its expiry.
	case graph.KindMailbox:
		state, reason, pause = model.SubscriptionFailing, failure.Reason, r.probes()
		r.mailboxFailed(ctx, sub, model.MailboxUnreachable, failure)
	case graph.KindSignIn:
		state, reason, pause = model.SubscriptionFailing, failure.Reason, r.probes()
		r.mailboxFailed(ctx, sub, model.MailboxNeedsSignIn, failure)
	case graph.KindTenant:
		state, reason, pause = model.SubscriptionFailing, failure.Reason, backoff{r.cfg.ProbeMin, min(r.cfg.ProbeMax, tenantProbe)}
		r.tenantFailed(ctx, sub.Tenant, failure)
	case graph.KindHandshake:
		// The receiver is ours, so mending it is too: say so, and try again soon.
		state, reason = model.SubscriptionFailing, failure.Reason
	case graph.KindNotFound, graph.KindConflict, graph.KindPrecondition, graph.KindGone, graph.KindLifetime, graph.KindQuota,
		graph.KindInvalid:
		state, reason, pause = model.SubscriptionFailing, failure.Reason, r.probes()
	}
	if sub.Reason == reasonUnchanged && reason != reasonUnchanged {
		sub.Attempts = 0
	}
	sub.Attempts++
	if sub.GraphID != "" && !now.Before(sub.ExpiresAt) && state == model.SubscriptionActive {
		state = model.SubscriptionExpired
	}
	if state != sub.State || reason != sub.Reason {
		r.complain(ctx, sub, failure)
	}
	sub.State, sub.Reason = state, reason
	sub.DueAt = retryTime(now, sub, pause, failure.RetryAfter, rand.Float64())
	r.save(ctx, sub)
}

// tenantProbe is the longest pause while a whole tenant is shut: asking costs one token for all its mailboxes, and when it
// opens again they should not wait long.
const tenantProbe = 2 * time.Minute

// complain says once, when the trouble begins or changes, what it is.
func (r *Renewer) complain(ctx context.Context, sub model.Subscription, failure *graph.Error) {
	attrs := []slog.Attr{
		slog.String("tenant", sub.Tenant), slog.String("participant", sub.Participant),
		slog.String("reason", failure.Reason), slog.Any("error", failure),
	}
	if failure.Kind == graph.KindHandshake {
		r.log.LogAttrs(ctx, slog.LevelWarn,
			"graph got no answer from our own webhook: is the public URL reachable from the internet", attrs...)
		return
	}
	r.log.LogAttrs(ctx, slog.LevelWarn, "a subscription fails", attrs...)
}

func (r *Renewer) probes() backoff { return backoff{r.cfg.ProbeMin, r.cfg.ProbeMax} }

func (r *Renewer) mailboxFailed(ctx context.Context, sub model.Subscription, st model.MailboxStatus, failure *graph.Error) {
	ctx = context.WithoutCancel(ctx)
	_, err := r.store.MailboxFailed(ctx, sub.Tenant, sub.Participant, st, failure.Reason, r.cfg.ProbeMin, r.cfg.ProbeMax)
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't mark a mailbox", slog.String("tenant", sub.Tenant),
			slog.String("participant", sub.Participant), slog.Any("error", err))
		return
	}
	if denied(failure.Reason) && r.shut(ctx, sub.Tenant) {
		r.markTenant(ctx, sub.Tenant, func(t model.Tenant) (model.TenantStatus, string) {
			if t.Status != model.TenantConnected {
				return t.Status, t.StatusReason
			}
			return model.TenantFailing, failure.Reason
		})
	}
}

// shut says whether an organisation denies access to all of its mailboxes, as it does when its consent was withdrawn and the
// application stays: tokens are still given, and are good for nothing.
func (r *Renewer) shut(ctx context.Context, tenant string) bool {
	shut, err := r.store.TenantShut(ctx, tenant, []string{graph.ReasonAccessDenied, graph.ReasonPermissionMissing})
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't tell whether a tenant is shut", slog.String("tenant", tenant), slog.Any("error", err))
	}
	return shut
}

// denied says that a mailbox is denied to us in a way that may be the whole organisation's.
func denied(reason string) bool {
	return reason == graph.ReasonAccessDenied || reason == graph.ReasonPermissionMissing
}

// tenantFailed marks the tenant, unless all that it lacks is the consent that it hasn't given yet.
func (r *Renewer) tenantFailed(ctx context.Context, id string, failure *graph.Error) {
	r.markTenant(ctx, id, func(t model.Tenant) (model.TenantStatus, string) {
		awaited := failure.Reason == graph.ReasonConsentMissing || failure.Reason == graph.ReasonAppNotInTenant
		if t.Status == model.TenantPendingConsent && awaited {
			return t.Status, t.StatusReason
		}
		return model.TenantFailing, failure.Reason
	})
}

// well notes that the mailbox and its tenant let us in.
func (r *Renewer) well(ctx context.Context, sub model.Subscription) {
	ctx = context.WithoutCancel(ctx)
	if _, err := r.store.MailboxHealed(ctx, sub.Tenant, sub.Participant); err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't mark a mailbox", slog.String("tenant", sub.Tenant),
			slog.String("participant", sub.Participant), slog.Any("error", err))
	}
	r.tenantWell(ctx, sub.Tenant)
}

func (r *Renewer) tenantWell(ctx context.Context, id string) {
	r.markTenant(ctx, id, func(model.Tenant) (model.TenantStatus, string) { return model.TenantConnected, "" })
}

// markTenant writes a tenant's status if it changes. A tenant that was disconnected stays so: that is the platform's word.
func (r *Renewer) markTenant(ctx context.Context, id string, to func(model.Tenant) (model.TenantStatus, string)) {
	ctx = context.WithoutCancel(ctx)
	t, err := r.store.Tenant(ctx, id)
	if err == nil && t.Status == model.TenantDisconnected {
		return
	}
	if err == nil {
		status, reason := to(t)
		if status == t.Status && reason == t.StatusReason {
			return
		}
		var changed bool
		if changed, err = r.store.SetTenantStatus(ctx, id, status, reason); changed {
			r.log.LogAttrs(ctx, slog.LevelInfo, "a tenant's status changed", slog.String("tenant", id),
				slog.String("status", string(status)), slog.String("reason", reason))
		}
	}
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't mark a tenant", slog.String("tenant", id), slog.Any("error", err))
	}
}
