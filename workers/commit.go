package workers

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/errgroup"

	"pairsync/internal/coalesce"
	"pairsync/model"
)

// ledgerTimeout ends a statement or a transaction of the ledger that hangs.
const ledgerTimeout = 30 * time.Second

// ledger shares statements and transactions among those who look up or commit at the same time. One call costs what it would
// cost alone; a hundred at once cost a few statements.
type ledger struct {
	lookups *coalesce.Group[model.EventRef, []model.Session]
	commits *coalesce.Group[model.Reading, model.Outcome]
}

func newLedger(store *model.Store, cfg Config) *ledger {
	size := coalesce.Config{Runners: cfg.Runners, MaxBatch: cfg.BatchSize}
	return &ledger{
		lookups: coalesce.New(size, bounded(store.Tied)),
		commits: coalesce.New(size, bounded(store.Commit)),
	}
}

// bounded gives each batch its time.
func bounded[T, R any](do func(ctx context.Context, batch []T) ([]R, error)) func(ctx context.Context, batch []T) ([]R, error) {
	return func(ctx context.Context, batch []T) ([]R, error) {
		ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
		defer cancel()
		return do(ctx, batch)
	}
}

// Run works for whoever asks, until ctx ends.
func (l *ledger) Run(ctx context.Context) error {
	var both errgroup.Group
	both.Go(func() error { return l.lookups.Run(ctx) })
	both.Go(func() error { return l.commits.Run(ctx) })
	return both.Wait()
}

// tied gives the sessions that an event of a tenant belongs to: the event's own and, if it is a series master, those of its
// instances.
func (l *ledger) tied(ctx context.Context, ref model.EventRef) ([]model.Session, error) {
	sessions, err := l.lookups.Do(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("looking up the sessions of an event: %w", err)
	}
	return sessions, nil
}

// commit commits readings; the outcomes stand in their order. An error means that nothing is known to be committed.
func (l *ledger) commit(ctx context.Context, readings []model.Reading) ([]model.Outcome, error) {
	if len(readings) == 0 {
		return nil, nil
	}
	ctx, span := startSpan(ctx, "commit", attribute.Int("readings", len(readings)))
	defer span.End()
	out, err := l.commits.DoAll(ctx, readings)
	if err != nil {
		span.RecordError(err)
		return nil, fmt.Errorf("committing readings: %w", err)
	}
	return out, nil
}
