package model

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// SubscriptionsDue claims up to limit subscriptions that are due, longest due first, so that nobody else gets them for the
// length of the lease. A mailbox is due when its row says so, when its owner's first session has been linked, when something
// was noted on it, and when its owner's last upcoming session has ended. SaveSubscription or DeleteSubscription end a claim.
func (s *Store) SubscriptionsDue(ctx context.Context, limit int, lease time.Duration) ([]Subscription, error) {
	var due []Subscription
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		keys, err := s.q.LockDueSubscriptions(ctx, tx, page(limit))
		if err != nil {
			return fmt.Errorf("locking due subscriptions: %w", err)
		}
		if len(keys) == 0 {
			return nil
		}
		arg := dbsql.ClaimSubscriptionsParams{Lease: lease}
		for _, k := range keys {
			arg.Tenants, arg.Participants = append(arg.Tenants, k.Tenant), append(arg.Participants, k.Participant)
		}
		rows, err := s.q.ClaimSubscriptions(ctx, tx, arg)
		if err != nil {
			return fmt.Errorf("claiming due subscriptions: %w", err)
		}
		for _, row := range rows {
			due = append(due, subscriptionOf(row))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return due, nil
}

// NextSubscriptionDue returns when the next subscription must be looked at; false when there is none.
func (s *Store) NextSubscriptionDue(ctx context.Context) (time.Time, bool, error) {
	at, err := s.q.NextSubscriptionDue(ctx, s.pool)
	if isNoRows(err) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("looking for the next due subscription: %w", err)
	}
	return at, true, nil
}

// SaveSubscription writes a subscription and ends the claim. What was noted on the row since the claim is kept, and then the
// row is due at once. The error is ErrNotFound when there is no such participant.
func (s *Store) SaveSubscription(ctx context.Context, sub Subscription) error {
	err := s.q.SaveSubscription(ctx, s.pool, dbsql.SaveSubscriptionParams{
		Tenant: sub.Tenant, Participant: sub.Participant, MailboxID: strings.ToLower(sub.MailboxID), GraphID: sub.GraphID,
		ClientState: sub.ClientState, State: string(sub.State), Reason: sub.Reason,
		ExpiresAt: nullTime(sub.ExpiresAt), GrantedAt: nullTime(sub.GrantedAt),
		ReauthorizedAt: nullTime(sub.ReauthorizedAt), RenewedAt: nullTime(sub.RenewedAt),
		Lifecycle: string(sub.Lifecycle), Silent: sub.Silent, Attempts: int64(sub.Attempts), DueAt: sub.DueAt,
	})
	if violates(err, codeForeignKeyViolation, "subscriptions_tenant_participant_fkey") {
		return &MissingError{Thing: ThingParticipant, ID: sub.Participant}
	}
	if err != nil {
		return fmt.Errorf("writing the subscription: %w", err)
	}
	return nil
}

// DeleteSubscription removes a subscription that is not wanted and no longer in Graph. When something was noted on the row
// since it was claimed, for instance a new session, an empty row stays instead and is due at once.
func (s *Store) DeleteSubscription(ctx context.Context, tenant, participant string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		key := dbsql.DeleteSubscriptionParams{Tenant: tenant, Participant: participant}
		n, err := s.q.DeleteSubscription(ctx, tx, key)
		if err != nil {
			return fmt.Errorf("deleting the subscription: %w", err)
		}
		if n > 0 {
			return nil
		}
		if err := s.q.ResetSubscription(ctx, tx, dbsql.ResetSubscriptionParams(key)); err != nil {
			return fmt.Errorf("emptying the subscription: %w", err)
		}
		return nil
	})
}

// LifecycleReceived notes a lifecycle event on the subscription that sent it, which is then due at once. A subscription that
// is not ours, or not any more, is ignored.
func (s *Store) LifecycleReceived(ctx context.Context, tenant, mailboxID, graphID string, ev LifecycleEvent) error {
	return s.noted(ctx, func(tx pgx.Tx) (int64, error) {
		return s.q.NoteLifecycle(ctx, tx, dbsql.NoteLifecycleParams{
			Tenant: tenant, MailboxID: strings.ToLower(mailboxID), GraphID: graphID, Event: string(ev),
		})
	})
}

// MarkSilent is called when only the sweep found a change that people made at changedAt in a mailbox. When the mailbox has
// an active subscription that was granted before, the grace for late notifications has passed, and no notification for any
// of the owner's sessions was received since the change, the subscription is marked silent, which is then due at once. It
// says whether the mark is new.
func (s *Store) MarkSilent(
	ctx context.Context, tenant, participant string, changedAt time.Time, grace time.Duration,
) (silent bool, err error) {
	err = s.noted(ctx, func(tx pgx.Tx) (int64, error) {
		n, err := s.q.NoteSilence(ctx, tx, dbsql.NoteSilenceParams{
			Tenant: tenant, Participant: participant, ChangedAt: changedAt, Grace: grace,
		})
		silent = n > 0
		return n, err
	})
	return silent && err == nil, err
}

// MarkSuperseded marks subscriptions of a tenant, by Graph's ids, silent: what they say does not reach us, because they lead
// to an address that is ours no more. They are due at once. It says how many of them are news; ids that no row has are
// ignored.
func (s *Store) MarkSuperseded(ctx context.Context, tenant string, graphIDs []string) (marked int, err error) {
	err = s.noted(ctx, func(tx pgx.Tx) (int64, error) {
		n, err := s.q.NoteSuperseded(ctx, tx, dbsql.NoteSupersededParams{Tenant: tenant, GraphIds: graphIDs})
		marked = int(n)
		return n, err
	})
	if err != nil {
		return 0, err
	}
	return marked, nil
}

// noted runs an update that notes something on a subscription, and tells the renewers if it did.
func (s *Store) noted(ctx context.Context, update func(tx pgx.Tx) (int64, error)) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		n, err := update(tx)
		if err != nil {
			return fmt.Errorf("marking the subscription: %w", err)
		}
		if n == 0 {
			return nil
		}
		if err := s.q.NotifySubscriptions(ctx, tx); err != nil {
			return fmt.Errorf("notifying: %w", err)
		}
		return nil
	})
}

// wakeSubscription makes a subscription due, if there is one.
func (s *Store) wakeSubscription(ctx context.Context, tx pgx.Tx, tenant, participant string) error {
	key := dbsql.WakeSubscriptionParams{Tenant: tenant, Participant: participant}
	if err := s.q.WakeSubscription(ctx, tx, key); err != nil {
		return fmt.Errorf("waking the subscription: %w", err)
	}
	if err := s.q.NotifySubscriptions(ctx, tx); err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	return nil
}
