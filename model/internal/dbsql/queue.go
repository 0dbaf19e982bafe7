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
		arg.Versions, arg.VerifiedAt, arg.NotifiedAt, arg.States, arg.Intents, arg.BeganAt, arg.NextVerifyAt,
	)
}

// QueueSettleRequests adds SettleRequests to a batch.
func QueueSettleRequests(b *pgx.Batch, arg SettleRequestsParams) {
	b.Queue(settleRequests, arg.Tenants, arg.Sessions, arg.Open, arg.Versions, arg.Bookings, arg.RequestedAt)
}

// QueueClosePending adds ClosePending to a batch.
func QueueClosePending(b *pgx.Batch, arg ClosePendingParams) {
	b.Queue(closePending, arg.Ids, arg.Statuses)
}

// QueueInsertPending adds InsertPending to a batch.
func QueueInsertPending(b *pgx.Batch, arg InsertPendingParams) {
	b.Queue(
		insertPending, arg.Ids, arg.Tenants, arg.Sessions, arg.Kinds, arg.Statuses, arg.Befores, arg.Afters,
		arg.OccurredAt, arg.ReceivedAt,
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
		arg.Afters, arg.Participants, arg.OccurredAt, arg.ReceivedAt, arg.Applied,
	).Query(func(rows pgx.Rows) error {
		var row WriteChangesRow
		_, err := pgx.ForEachRow(rows, []any{&row.Cursor, &row.ID, &row.AppliedAt}, func() error {
			each(row)
			return nil
		})
		return err
	})
}
