package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// lifetimeTries is how often a refused life is shortened before giving up for now.
const lifetimeTries = 4

// create makes the mailbox's subscription. The row with its client state is written first, because the handshake and the
// first notifications come before Graph's answer; and a row that has a client state but no id tells whoever comes after a
// crash, or after an answer that never came, that Graph may have a subscription that nobody knows.
func (r *Renewer) create(ctx context.Context, sub model.Subscription) {
	if err := r.resolve(ctx, &sub); err != nil {
		r.failed(ctx, sub, err)
		return
	}
	if sub.ClientState != "" {
		adopted, err := r.settleStrangers(ctx, &sub)
		if err != nil {
			r.failed(ctx, sub, err)
			return
		}
		if adopted {
			r.born(ctx, sub, resultAdopted)
			return
		}
	}
	created, err := r.ask(ctx, &sub)
	if graph.KindOf(err) == graph.KindConflict {
		var adopted bool
		if adopted, err = r.settleStrangers(ctx, &sub); adopted {
			r.born(ctx, sub, resultAdopted)
			return
		}
		if err == nil {
			created, err = r.ask(ctx, &sub)
		}
	}
	if err != nil {
		if known(err) {
			sub.ClientState, sub.ExpiresAt = "", time.Time{} // Graph said no: there is nothing to look for later.
		}
		r.failed(ctx, sub, err)
		return
	}
	sub.GraphID, sub.ExpiresAt = created.ID, created.ExpiresAt
	r.born(ctx, sub, resultCreated)
}

// resolve finds the mailbox's owner by address.
func (r *Renewer) resolve(ctx context.Context, sub *model.Subscription) error {
	if sub.MailboxID != "" {
		return nil
	}
	id, err := r.graph.User(ctx, sub.Tenant, sub.Email)
	if err != nil {
		return err
	}
	if err := r.store.SetMailboxID(ctx, sub.Tenant, sub.Participant, id); err != nil {
		return fmt.Errorf("writing the mailbox's id: %w", err)
	}
	sub.MailboxID = id
	return nil
}

// ask writes the row and has Graph create the subscription, with shorter lives as Graph demands. GrantedAt is set to just
// before Graph was asked, so that the life is never thought longer than it is.
func (r *Renewer) ask(ctx context.Context, sub *model.Subscription) (graph.Subscription, error) {
	state, err := r.states.Sign(sub.Tenant, sub.MailboxID)
	if err != nil {
		return graph.Subscription{}, fmt.Errorf("making a client state: %w", err)
	}
	sub.ClientState = state
	if sub.State != model.SubscriptionFailing && sub.State != model.SubscriptionExpired {
		sub.State = model.SubscriptionPending
	}
	// Writing ends the claim. The due time keeps others away as long as the claim would have, and GrantedAt tells those who
	// are called in spite of it that somebody is at it. ExpiresAt is the most that Graph may have granted if no answer comes.
	sub.GrantedAt = time.Now()
	sub.DueAt, sub.ExpiresAt = sub.GrantedAt.Add(r.cfg.Lease), sub.GrantedAt.Add(r.cfg.Lifetime)
	if err := r.store.SaveSubscription(ctx, *sub); err != nil {
		sub.ClientState, sub.ExpiresAt = "", time.Time{} // Nobody has been told of it.
		return graph.Subscription{}, fmt.Errorf("writing a subscription before it is made: %w", err)
	}
	for range lifetimeTries {
		asked := r.ceiling.clamp(r.cfg.Lifetime)
		sub.GrantedAt = time.Now()
		created, err := r.graph.CreateSubscription(ctx, sub.Tenant, graph.SubscriptionRequest{
			MailboxID: sub.MailboxID, NotificationURL: r.cfg.NotificationURL, LifecycleURL: r.cfg.LifecycleURL,
			ClientState: state, ExpiresAt: sub.GrantedAt.Add(asked),
		})
		if r.learned(asked, err) {
			continue
		}
		return created, err
	}
	return graph.Subscription{}, errNoLifetime()
}

// learned says whether err is a refusal of the life that was asked for, and remembers it.
func (r *Renewer) learned(asked time.Duration, err error) bool {
	refused, ok := errors.AsType[*graph.Error](err)
	if !ok || refused.Kind != graph.KindLifetime {
		return false
	}
	r.metrics.count(resultLifetime)
	r.ceiling.refused(asked, refused.MaxLifetime)
	return true
}

func errNoLifetime() error {
	return &graph.Error{Kind: graph.KindLifetime, Reason: graph.ReasonLifetimeTooLong, Operation: "subscription"}
}

// born writes a subscription that Graph has and that no row knew before, and has the mailbox verified: what people changed
// between the last notification, or the first reading, and now has been told to nobody.
func (r *Renewer) born(ctx context.Context, sub model.Subscription, res result) {
	r.metrics.count(res)
	sub.RenewedAt, sub.ReauthorizedAt, sub.Lifecycle, sub.Silent = time.Time{}, time.Time{}, "", false
	r.log.LogAttrs(ctx, slog.LevelInfo, "subscribed to a mailbox", slog.String("tenant", sub.Tenant),
		slog.String("participant", sub.Participant), slog.String("result", string(res)), slog.Time("expires_at", sub.ExpiresAt))
	r.alive(ctx, sub)
	r.sweep(context.WithoutCancel(ctx), sub)
}

// gone says that Graph has no such subscription.
func gone(err error) bool { return graph.KindOf(err) == graph.KindNotFound }

// known says whether the failure of a creation leaves no doubt that nothing was created: Graph answered, and it was no
// answer of a server in trouble.
func known(err error) bool {
	failure, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return false
	}
	return failure.Kind != graph.KindUnavailable && (failure.Kind != graph.KindInvalid || failure.Status >= 400)
}
