package main

import (
	"context"

	"pairsync/model"
	"pairsync/ops"
)

// watchState registers the gauges that are read at the scrape, from what this process has.
func (s *service) watchState(ctx context.Context) error {
	var sources ops.StateSources
	if s.roles.usesNATS() {
		sources.Queues = s.queues
		sources.DeadLetters = func(ctx context.Context) (int, error) {
			broker, err := s.broker.get()
			if err != nil {
				return 0, err
			}
			return broker.DeadLetterCount(ctx)
		}
	}
	if s.roles.usesDatabase() {
		sources.Figures = s.figures
	}
	// The gauges are scraped while the process drains, too.
	return ops.RegisterState(context.WithoutCancel(ctx), s.registry, ops.StateConfig{}, sources)
}

// queues tells how the consumers stand.
func (s *service) queues(ctx context.Context) ([]ops.Queue, error) {
	broker, err := s.broker.get()
	if err != nil {
		return nil, err
	}
	depths, err := broker.Depths(ctx)
	if err != nil {
		return nil, err
	}
	queues := make([]ops.Queue, 0, len(depths))
	for _, d := range depths {
		queues = append(queues, ops.Queue{Stream: d.Stream, Consumer: d.Consumer, Pending: d.Pending, Oldest: d.Oldest})
	}
	return queues, nil
}

// figures tells how the database stands, with a zero for every value that a label can have.
func (s *service) figures(ctx context.Context) (ops.Figures, error) {
	store, err := s.store.get()
	if err != nil {
		return ops.Figures{}, err
	}
	f, err := store.Figures(ctx)
	if err != nil {
		return ops.Figures{}, err
	}
	figures := ops.Figures{
		Mailboxes:     counts(model.MailboxStatuses(), f.Mailboxes),
		Tenants:       counts(model.TenantStatuses(), f.Tenants),
		Subscriptions: counts(model.SubscriptionStates(), f.Subscriptions),
		OutboxPending: f.OutboxPending, CallbacksPending: f.CallbacksPending,
	}
	if f.EarliestExpiry != nil {
		figures.EarliestExpiry = *f.EarliestExpiry
	}
	if f.OutboxOldest != nil {
		figures.OutboxOldest = *f.OutboxOldest
	}
	if f.CallbacksOldest != nil {
		figures.CallbacksOldest = *f.CallbacksOldest
	}
	return figures, nil
}

// counts turns counts by a word of the model into counts by label.
func counts[K ~string](words []K, have map[K]int) map[string]int {
	labels := make(map[string]int, len(words))
	for _, word := range words {
		labels[string(word)] = have[word]
	}
	return labels
}
