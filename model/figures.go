package model

import (
	"context"
	"fmt"
	"time"
)

// Figures are what the gauges show. States that nothing is in are missing from the maps.
type Figures struct {
	Mailboxes     map[MailboxStatus]int
	Tenants       map[TenantStatus]int
	Subscriptions map[SubscriptionState]int
	// EarliestExpiry is that of the active subscriptions that are alive; nil when there is none.
	EarliestExpiry *time.Time
	OutboxPending  int
	// OutboxOldest is when the oldest change that is not published was committed; nil when there is none.
	OutboxOldest *time.Time
	// CallbacksPending is how many changes wait to be received by their tenants' receivers.
	CallbacksPending int
	// CallbacksOldest is when the oldest of them was committed; nil when there is none.
	CallbacksOldest *time.Time
}

// Figures counts what the gauges show. An active subscription whose time has run out counts as expired.
func (s *Store) Figures(ctx context.Context) (Figures, error) {
	f := Figures{
		Mailboxes: map[MailboxStatus]int{}, Tenants: map[TenantStatus]int{}, Subscriptions: map[SubscriptionState]int{},
	}
	mailboxes, err := s.q.CountMailboxes(ctx, s.pool)
	if err != nil {
		return Figures{}, fmt.Errorf("counting mailboxes: %w", err)
	}
	for _, row := range mailboxes {
		f.Mailboxes[MailboxStatus(row.MailboxStatus)] = int(row.Count)
	}
	tenants, err := s.q.CountTenants(ctx, s.pool)
	if err != nil {
		return Figures{}, fmt.Errorf("counting tenants: %w", err)
	}
	for _, row := range tenants {
		f.Tenants[TenantStatus(row.Status)] = int(row.Count)
	}
	subscriptions, err := s.q.CountSubscriptions(ctx, s.pool)
	if err != nil {
		return Figures{}, fmt.Errorf("counting subscriptions: %w", err)
	}
	for _, row := range subscriptions {
		f.Subscriptions[SubscriptionState(row.State)] = int(row.Count)
	}
	f.EarliestExpiry, err = s.q.EarliestExpiry(ctx, s.pool)
	if err != nil && !isNoRows(err) {
		return Figures{}, fmt.Errorf("looking for the earliest expiry: %w", err)
	}
	if err := s.outboxFigures(ctx, &f); err != nil {
		return Figures{}, err
	}
	if err := s.callbackFigures(ctx, &f); err != nil {
		return Figures{}, err
	}
	return f, nil
}

func (s *Store) outboxFigures(ctx context.Context, f *Figures) error {
	pending, err := s.q.CountOutbox(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("counting the outbox: %w", err)
	}
	f.OutboxPending = int(pending)
	oldest, err := s.q.OutboxOldest(ctx, s.pool)
	switch {
	case isNoRows(err):
		return nil
	case err != nil:
		return fmt.Errorf("looking for the oldest in the outbox: %w", err)
	}
	f.OutboxOldest = &oldest
	return nil
}

func (s *Store) callbackFigures(ctx context.Context, f *Figures) error {
	pending, err := s.q.CountCallbacks(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("counting callbacks: %w", err)
	}
	f.CallbacksPending = int(pending)
	oldest, err := s.q.CallbackOldest(ctx, s.pool)
	switch {
	case isNoRows(err):
		return nil
	case err != nil:
		return fmt.Errorf("looking for the oldest callback: %w", err)
	}
	f.CallbacksOldest = &oldest
	return nil
}
