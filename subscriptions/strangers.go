package subscriptions

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// settleStrangers looks for subscriptions to the row's mailbox that lead to our webhook and that the row doesn't know: left
// behind by a creation whose answer was lost, or by a process that died. One whose client state Graph shows and we can prove
// is adopted, and the row is filled in; the others are deleted. It is called only for a mailbox whose row this process has
// claimed, so nobody is creating one right now.
func (r *Renewer) settleStrangers(ctx context.Context, sub *model.Subscription) (adopted bool, err error) {
	all, err := r.graph.Subscriptions(ctx, sub.Tenant)
	if err != nil {
		return false, err
	}
	now := time.Now()
	for _, found := range all {
		if found.ID == sub.GraphID || !r.ours(found, sub.MailboxID) {
			continue
		}
		if !adopted && r.proved(found, *sub) && found.ExpiresAt.After(now) {
			adopted = true
			sub.GraphID, sub.ClientState, sub.ExpiresAt, sub.GrantedAt = found.ID, found.ClientState, found.ExpiresAt, now
			continue
		}
		if err := r.graph.DeleteSubscription(ctx, sub.Tenant, found.ID); err != nil {
			return false, err
		}
		r.metrics.count(resultStranger)
		r.log.LogAttrs(ctx, slog.LevelInfo, "deleted a subscription that no row knew",
			slog.String("tenant", sub.Tenant), slog.String("participant", sub.Participant))
	}
	return adopted, nil
}

// ours says whether a subscription leads to our webhook and is for the mailbox's events. Another installation of the same
// application has another URL and is left alone.
func (r *Renewer) ours(s graph.Subscription, mailbox string) bool {
	return s.NotificationURL == r.cfg.NotificationURL && strings.EqualFold(mailboxOf(s.Resource), mailbox)
}

// mailboxOf is the user in a resource like users/{id}/events, /Users('{id}')/events among its spellings; empty when it is
// something else.
func mailboxOf(resource string) string {
	resource = strings.Trim(resource, "/")
	if before, _, ok := strings.Cut(resource, "?"); ok {
		resource = before
	}
	lower := strings.ToLower(resource)
	if !strings.HasPrefix(lower, "users") || !strings.HasSuffix(lower, "/events") {
		return ""
	}
	user := resource[len("users") : len(resource)-len("/events")]
	user = strings.TrimSuffix(strings.TrimPrefix(user, "('"), "')")
	user = strings.TrimPrefix(user, "/")
	if strings.Contains(user, "/") {
		return ""
	}
	return user
}

// proved says whether the subscription's notifications will pass the door: the client state is one of ours, for this
// mailbox.
func (r *Renewer) proved(s graph.Subscription, sub model.Subscription) bool {
	tenant, mailbox, ok := r.states.Verify(s.ClientState)
	return ok && strings.EqualFold(tenant, sub.Tenant) && strings.EqualFold(mailbox, sub.MailboxID)
}

// remove ends a subscription that nobody wants any more, and its row.
func (r *Renewer) remove(ctx context.Context, sub model.Subscription) {
	err := r.unsubscribe(ctx, &sub)
	if err != nil && !r.hopeless(sub, err) {
		r.failed(ctx, sub, err)
		return
	}
	if sub.GraphID != "" {
		r.metrics.count(resultDeleted)
	}
	if err := r.store.DeleteSubscription(ctx, sub.Tenant, sub.Participant); err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "can't delete a subscription's row", slog.String("tenant", sub.Tenant),
			slog.String("participant", sub.Participant), slog.Any("error", err))
		return
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "unsubscribed from a mailbox",
		slog.String("tenant", sub.Tenant), slog.String("participant", sub.Participant))
}

func (r *Renewer) unsubscribe(ctx context.Context, sub *model.Subscription) error {
	switch {
	case sub.GraphID != "":
		return r.graph.DeleteSubscription(ctx, sub.Tenant, sub.GraphID)
	case sub.ClientState != "" && sub.MailboxID != "":
		// A creation is in doubt. What it left is adopted only to be deleted.
		adopted, err := r.settleStrangers(ctx, sub)
		if err == nil && adopted {
			err = r.graph.DeleteSubscription(ctx, sub.Tenant, sub.GraphID)
		}
		return err
	}
	return nil
}

// hopeless says that a subscription which can't be deleted needs no more tries: it has lapsed, or we are let in no more, and
// then it delivers no more either.
func (r *Renewer) hopeless(sub model.Subscription, err error) bool {
	failure, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return false
	}
	switch failure.Reason {
	case graph.ReasonConsentMissing, graph.ReasonAppNotInTenant, graph.ReasonTenantNotFound, graph.ReasonAccessDenied,
		graph.ReasonUserNotFound, graph.ReasonNoMailbox, graph.ReasonMailboxNotEnabled:
		return true
	}
	return time.Now().After(sub.ExpiresAt)
}
