// Package dbsql holds the statements of the queries folder as sqlc generates them from their text and the migrations, and, by
// hand, how some of them are sent together. Only package model may know a column.
package dbsql

import "github.com/jackc/pgx/v5"

// The statements below go to the server together with the commit that ends their transaction, in one flight, so that no lock
// is held while a packet travels. What sqlc generates sends each statement by itself; these use its text and its parameters.

// QueueWriteReadings adds WriteReadings to a batch.
func QueueWriteReadings(b *pgx.Batch, arg WriteReadingsParams) {
	b.Queue(
		writeReadings, arg.Tenants, arg.Ids, arg.Statuses, arg.Starts, arg.Ends, arg.JoinUrls, arg.Attendees, arg.EventIds,
		arg.IcalUids, arg.ChangeKeys, arg.SeriesMasterIds, arg.OriginalStarts, arg.LastModified, arg.ReadAt, arg.Vanished,
		arg.Versions, arg.VerifiedAt, arg.NotifiedAt, arg.BeganAt, arg.NextVerifyAt,
	)
}

// QueueTouchSubscriptions adds TouchSubscriptions to a batch.
func QueueTouchSubscriptions(b *pgx.Batch, arg TouchSubscriptionsParams) {
	b.Queue(touchSubscriptions, arg.Tenants, arg.Participants, arg.Ends)
}

// QueueWriteChanges adds WriteChanges to a batch. The rows are handed to each once the batch is read.
func QueueWriteChanges(b *pgx.Batch, arg WriteChangesParams, each func(WriteChangesRow)) {
	b.Queue(
		writeChanges, arg.Ids, arg.Tenants, arg.Sessions, arg.Versions, arg.Kinds, arg.Sources, arg.Causes, arg.Befores,
		arg.Afters, arg.Participants, arg.OccurredAt, arg.ReceivedAt,
	).Query(func(rows pgx.Rows) error {
		var row WriteChangesRow
		_, err := pgx.ForEachRow(rows, []any{&row.Cursor, &row.ID, &row.AppliedAt}, func() error {
			each(row)
			return nil
		})
		return err
	})
}
