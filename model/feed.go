package model

import (
	"context"
	"fmt"

	"pairsync/model/internal/dbsql"
)

// Changes returns up to limit changes of one tenant, or of all for an empty one, whose cursor is greater than after, in
// commit order. Whoever has seen a cursor has been shown every change before it: no change appears later with a smaller one.
func (s *Store) Changes(ctx context.Context, tenant string, after int64, limit int) ([]Change, error) {
	if tenant != "" {
		rows, err := s.q.TenantChangesAfter(ctx, s.pool, dbsql.TenantChangesAfterParams{
			Tenant: tenant, After: after, Count: page(limit),
		})
		return changesOf(rows, err, func(r dbsql.TenantChangesAfterRow) dbsql.Change { return r.Change })
	}
	rows, err := s.q.ChangesAfter(ctx, s.pool, dbsql.ChangesAfterParams{After: after, Count: page(limit)})
	return changesOf(rows, err, func(r dbsql.ChangesAfterRow) dbsql.Change { return r.Change })
}

// SessionChanges returns up to limit changes of one session whose cursor is greater than after, oldest first.
func (s *Store) SessionChanges(ctx context.Context, tenant, session string, after int64, limit int) ([]Change, error) {
	rows, err := s.q.SessionChangesAfter(ctx, s.pool, dbsql.SessionChangesAfterParams{
		Tenant: tenant, Session: session, After: after, Count: page(limit),
	})
	return changesOf(rows, err, func(r dbsql.SessionChangesAfterRow) dbsql.Change { return r.Change })
}

// LastCursor returns the cursor of the newest change, 0 when there is none.
func (s *Store) LastCursor(ctx context.Context) (int64, error) {
	cursor, err := s.q.LastCursor(ctx, s.pool)
	if err != nil {
		return 0, fmt.Errorf("reading the last cursor: %w", err)
	}
	return cursor, nil
}

// OutboxBatch returns up to limit changes that have not been published, in commit order. They come again until OutboxDone.
func (s *Store) OutboxBatch(ctx context.Context, limit int) ([]Change, error) {
	rows, err := s.q.OutboxBatch(ctx, s.pool, page(limit))
	return changesOf(rows, err, func(r dbsql.OutboxBatchRow) dbsql.Change { return r.Change })
}

// OutboxDone takes published changes out of the outbox.
func (s *Store) OutboxDone(ctx context.Context, cursors []int64) error {
	if err := s.q.OutboxDone(ctx, s.pool, cursors); err != nil {
		return fmt.Errorf("emptying the outbox: %w", err)
	}
	return nil
}

func changesOf[Row any](rows []Row, err error, change func(Row) dbsql.Change) ([]Change, error) {
	if err != nil {
		return nil, fmt.Errorf("reading changes: %w", err)
	}
	changes := make([]Change, 0, len(rows))
	for _, row := range rows {
		changes = append(changes, changeOf(change(row)))
	}
	return changes, nil
}
