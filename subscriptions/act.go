package subscriptions

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// handle takes the one step that is due for a claimed subscription and writes when to look again.
func (r *Renewer) handle(ctx context.Context, sub model.Subscription) {
	// In a tenant of single sign-ins a subscription belongs to the person who made it, and only they can manage it.
	ctx = graph.OnBehalfOf(ctx, graph.Mailbox{Tenant: sub.Tenant, User: sub.MailboxID})
	// The work ends before the claim does, with time to write.
	ctx, cancel := context.WithTimeout(ctx, min(r.cfg.Lease*3/4, makingTime-2*saveTime))
	defer cancel()
	now := time.Now()
	next := plan(judged(now, sub.DueAt), sub.Wanted, sub)
	if next.sweep {
		if !r.sweep(ctx, sub) {
			r.retryLater(ctx, sub)
			return
		}
		sub.Lifecycle = ""
	}
	if next.step == stepLeave {
		return
	}
	if next.step == stepWait {
		sub.DueAt = next.at
		r.save(ctx, sub)
		return
	}
	leave, again := r.lanes.enter(sub.Tenant, now)
	if leave == nil {
		sub.DueAt = again
		r.save(ctx, sub)
		return
	}
	defer func() { leave(time.Now()) }()
	switch next.step {
	case stepCreate:
		r.create(ctx, sub)
	case stepReplace:
		if next.why == whySilent && r.elsewhere.take(sub.GraphID) {
			next.why = whyMoved
		}
		r.replace(ctx, sub, next.why)
	case stepRenew:
		r.renew(ctx, sub)
	case stepReauthorize:
		r.reauthorize(ctx, sub)
	case stepDelete:
		r.remove(ctx, sub)
	case stepWait, stepLeave: // Seen to above.
	}
}

// skew is how far the database's clock may be ahead of ours before rows that it calls due are looked at in vain.
const skew = time.Minute

// judged is the time by which to decide. What is due is the database's judgement; when its clock is ahead of ours, deciding
// by ours would find that there is nothing to do yet, again and again.
func judged(now, due time.Time) time.Time {
	if ahead := due.Sub(now); ahead > 0 && ahead < skew {
		return due
	}
	return now
}

// replace makes a new subscription in place of one that is of no use any more.
func (r *Renewer) replace(ctx context.Context, sub model.Subscription, why reason) {
	switch why {
	case whyRemoved:
		r.metrics.count(resultGone)
	case whyExpired:
		r.metrics.count(resultExpired)
	case whySilent:
		r.metrics.count(resultSilent)
	case whyMoved:
		r.metrics.count(resultMoved)
	case whyStuck, whyNot: // Each renewal that changed nothing has been counted.
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "replacing a subscription",
		slog.String("tenant", sub.Tenant), slog.String("participant", sub.Participant), slog.String("why", why.String()))
	if why != whyRemoved {
		// Two would deliver every change twice. One that has lapsed is gone, which is no error.
		if err := r.graph.DeleteSubscription(ctx, sub.Tenant, sub.GraphID); err != nil {
			r.failed(ctx, sub, err)
			return
		}
	}
	sub.GraphID, sub.ClientState, sub.ExpiresAt, sub.GrantedAt = "", "", time.Time{}, time.Time{}
	sub.RenewedAt, sub.ReauthorizedAt, sub.Lifecycle, sub.Silent = time.Time{}, time.Time{}, "", false
	if sub.State == model.SubscriptionActive {
		sub.State = model.SubscriptionExpired
	}
	r.create(ctx, sub)
}

// String is a word for the log.
func (w reason) String() string {
	switch w {
	case whyRemoved:
		return "removed"
	case whyExpired:
		return "expired"
	case whySilent:
		return "silent"
	case whyStuck:
		return "stuck"
	case whyMoved:
		return "moved"
	case whyNot:
	}
	return "none"
}

// rounding is more than what PostgreSQL's microseconds cut off Graph's 100 ns.
const rounding = time.Millisecond

// renew moves the expiry.
func (r *Renewer) renew(ctx context.Context, sub model.Subscription) {
	for range lifetimeTries {
		asked := r.ceiling.clamp(r.cfg.Lifetime)
		now := time.Now()
		granted, err := r.graph.RenewSubscription(ctx, sub.Tenant, sub.GraphID, now.Add(asked))
		if r.learned(asked, err) {
			continue
		}
		if gone(err) {
			r.replace(ctx, sub, whyRemoved)
			return
		}
		if err != nil {
			r.failed(ctx, sub, err)
			return
		}
		sub.RenewedAt, sub.Lifecycle = now, ""
		if !granted.ExpiresAt.After(sub.ExpiresAt.Add(rounding)) && now.Add(asked).Sub(sub.ExpiresAt) > time.Second {
			r.unchanged(ctx, sub)
			return
		}
		r.metrics.count(resultRenewed)
		sub.ExpiresAt, sub.GrantedAt = granted.ExpiresAt, now
		r.alive(ctx, sub)
		return
	}
	r.failed(ctx, sub, errNoLifetime())
}

// unchanged notes a renewal that Graph accepted without moving the expiry. After a few of them plan replaces the
// subscription.
func (r *Renewer) unchanged(ctx context.Context, sub model.Subscription) {
	r.metrics.count(resultUnchanged)
	if sub.Reason != reasonUnchanged {
		sub.Attempts = 0
	}
	sub.Attempts++
	sub.State, sub.Reason = model.SubscriptionActive, reasonUnchanged
	sub.DueAt = retryTime(time.Now(), sub, backoff{r.cfg.RetryMin, r.cfg.RetryMax}, 0, rand.Float64())
	r.log.LogAttrs(ctx, slog.LevelWarn, "graph accepted a renewal and left the expiry where it was",
		slog.String("tenant", sub.Tenant), slog.String("participant", sub.Participant), slog.Int("times", sub.Attempts))
	r.save(ctx, sub)
}

// reauthorize refreshes the subscription's tie to our token.
func (r *Renewer) reauthorize(ctx context.Context, sub model.Subscription) {
	now := time.Now()
	err := r.graph.Reauthorize(ctx, sub.Tenant, sub.GraphID)
	if gone(err) {
		r.replace(ctx, sub, whyRemoved)
		return
	}
	if err != nil {
		r.failed(ctx, sub, err)
		return
	}
	r.metrics.count(resultReauthorized)
	sub.ReauthorizedAt, sub.Lifecycle = now, ""
	r.alive(ctx, sub)
}

// alive writes a subscription that Graph has just confirmed, due when plan says, and notes that its mailbox and its tenant
// are well.
func (r *Renewer) alive(ctx context.Context, sub model.Subscription) {
	if sub.State != model.SubscriptionActive {
		r.well(ctx, sub)
	}
	sub.State, sub.Reason, sub.Attempts = model.SubscriptionActive, "", 0
	sub.DueAt = time.Now()
	if next := plan(sub.DueAt, true, sub); next.step == stepWait {
		sub.DueAt = next.at
	}
	r.save(ctx, sub)
}

// sweep makes the mailbox's sessions due for verification; false when that could not be written.
func (r *Renewer) sweep(ctx context.Context, sub model.Subscription) bool {
	if sub.MailboxID == "" {
		return true
	}
	if _, err := r.store.SweepMailbox(ctx, sub.Tenant, sub.MailboxID, model.CauseLifecycle); err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't have a mailbox verified", slog.String("tenant", sub.Tenant),
			slog.String("participant", sub.Participant), slog.Any("error", err))
		return false
	}
	return true
}

// retryLater gives the claim back soon, with nothing changed.
func (r *Renewer) retryLater(ctx context.Context, sub model.Subscription) {
	sub.DueAt = time.Now().Add(r.cfg.RetryMin)
	r.save(ctx, sub)
}

// saveTime bounds writing a row; it is spent even when the work's own time is over, since the row tells others what Graph
// has.
const saveTime = 5 * time.Second

// save writes the row and ends the claim. A failure is tried again a few times; after that the claim lapses by itself and
// somebody looks again.
func (r *Renewer) save(ctx context.Context, sub model.Subscription) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	var err error
	for try := range 4 {
		if try > 0 {
			r.pause(ctx, 100*time.Millisecond<<try, false)
		}
		if err = r.store.SaveSubscription(ctx, sub); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't write a subscription", slog.String("tenant", sub.Tenant),
			slog.String("participant", sub.Participant), slog.Any("error", err))
	}
}
