package model

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// lockedRequest is a session and its request, locked.
type lockedRequest struct {
	session Session
	row     dbsql.LockSessionRequestRow
}

// lockRequest locks a session and its request. The error is ErrNotFound when there is no such session.
func (s *Store) lockRequest(ctx context.Context, tx pgx.Tx, tenant, id string) (lockedRequest, error) {
	row, err := s.q.LockSessionRequest(ctx, tx, dbsql.LockSessionRequestParams{Tenant: tenant, ID: id})
	if err != nil {
		return lockedRequest{}, missing(err, ThingSession, id, "locking the session")
	}
	session, err := sessionOf(row.Session, row.Email, row.MailboxStatus)
	return lockedRequest{session, row}, err
}

// intend writes what an intention has changed: the session, its request, its pending change, and the changes, last.
func (s *Store) intend(ctx context.Context, tx pgx.Tx, in *intention) error {
	if err := s.saveIntentions(ctx, tx, in.after); err != nil {
		return err
	}
	w := newWriting(1)
	w.settle(in.before, in.after)
	for i := range in.changes {
		in.changes[i].ID = uuid.NewString()
		w.touch(in.changes[i].Kind, in.before, in.after)
	}
	if len(w.requests.Tenants) > 0 {
		if err := s.q.SettleRequests(ctx, tx, w.requests); err != nil {
			return fmt.Errorf("writing the request: %w", err)
		}
	}
	for _, c := range in.closed {
		arg := dbsql.ClosePendingParams{Ids: []string{c.id}, Statuses: []string{string(c.status)}}
		if err := s.q.ClosePending(ctx, tx, arg); err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
	}
	if len(w.touched) > 0 {
		if err := s.q.TouchSubscriptions(ctx, tx, touchedParams(w.touched)); err != nil {
			return fmt.Errorf("waking the subscription: %w", err)
		}
	}
	if len(in.changes) == 0 {
		return nil
	}
	rows, err := s.q.WriteChanges(ctx, tx, changesParams(in.changes))
	if err != nil {
		return fmt.Errorf("writing the changes: %w", err)
	}
	for i := range rows {
		in.changes[i].Cursor, in.changes[i].AppliedAt = rows[i].Cursor, rows[i].AppliedAt
	}
	return nil
}

func (s *Store) saveIntentions(ctx context.Context, tx pgx.Tx, session Session) error {
	attendees, err := json.Marshal(session.Attendees)
	if err != nil {
		return fmt.Errorf("encoding the attendees: %w", err)
	}
	intent, err := encodeIntent(session)
	if err != nil {
		return err
	}
	err = s.q.SaveIntentions(ctx, tx, dbsql.SaveIntentionsParams{
		Tenant: session.Tenant, ID: session.ID, Status: string(session.Status), StartsAt: session.StartsAt,
		EndsAt: session.EndsAt, TimeZone: session.TimeZone, Title: session.Title, Attendees: attendees,
		EventID: session.EventID, IcalUid: session.ICalUID, ChangeKey: session.ChangeKey,
		SeriesMasterID: session.SeriesMasterID, OriginalStart: session.OriginalStart,
		LastModifiedAt: session.LastModifiedAt, ReadAt: session.ReadAt, Vanished: session.Vanished,
		State: string(session.State), Intent: intent, Version: session.Version,
	})
	if err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}
	return nil
}

// CancelSession calls a session off, and opens a request to cancel its event with a comment for the attendees. Zero for the
// time means now. A session that is cancelled stays as it is. The error is ErrNotFound when there is no such session.
func (s *Store) CancelSession(ctx context.Context, tenant, id, comment string, at time.Time) (session Session, err error) {
	if at.IsZero() {
		at = time.Now()
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := s.lockRequest(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if locked.session.Status == SessionScheduled {
			in := newIntention(locked.session, locked.row.Version, int(locked.row.Bookings), stored(at))
			in.cancel(comment)
			if err := s.intend(ctx, tx, in); err != nil {
				return err
			}
		}
		session, err = s.session(ctx, tx, tenant, id)
		return err
	})
	return session, err
}

// Pending lists a tenant's changes that were made in Outlook and wait for an answer, or waited, whose Number is greater than
// after, oldest first. An empty status means all.
func (s *Store) Pending(
	ctx context.Context, tenant string, status PendingStatus, after int64, limit int,
) ([]Pending, error) {
	rows, err := s.q.ListPending(ctx, s.pool, dbsql.ListPendingParams{
		Tenant: tenant, Status: string(status), After: after, Count: page(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing pending changes: %w", err)
	}
	pending := make([]Pending, 0, len(rows))
	for _, row := range rows {
		pending = append(pending, pendingOf(row.Pending))
	}
	return pending, nil
}

// ApplyPending takes over a change that was made in Outlook. Zero for the time means now. Applied again, it changes nothing;
// ErrSettled says that it was undone or withdrawn. The error is ErrNotFound when there is no such change.
func (s *Store) ApplyPending(ctx context.Context, tenant, id string, at time.Time) (Pending, error) {
	return s.answerPending(ctx, tenant, id, at, PendingApplied, (*intention).apply)
}

// UndoPending opens a request to bring Outlook back to what it was before the change; a meeting that was cancelled is booked
// as another event. Zero for the time means now. Undone again, it changes nothing; ErrSettled says that it was applied or
// withdrawn. The error is ErrNotFound when there is no such change.
func (s *Store) UndoPending(ctx context.Context, tenant, id string, at time.Time) (Pending, error) {
	return s.answerPending(ctx, tenant, id, at, PendingUndone, (*intention).undo)
}

func (s *Store) answerPending(
	ctx context.Context, tenant, id string, at time.Time, status PendingStatus, answer func(*intention, Pending),
) (pending Pending, err error) {
	if at.IsZero() {
		at = time.Now()
	}
	if uuid.Validate(id) != nil {
		return Pending{}, &MissingError{Thing: ThingPending, ID: id}
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if pending, err = s.pending(ctx, tx, tenant, id); err != nil {
			return err
		}
		locked, err := s.lockRequest(ctx, tx, tenant, pending.Session)
		if err != nil {
			return err
		}
		// What is waiting is what the session says under its lock.
		open := locked.session.Pending
		if open != nil && open.ID == id {
			in := newIntention(locked.session, locked.row.Version, int(locked.row.Bookings), stored(at))
			answer(in, pending)
			if err := s.intend(ctx, tx, in); err != nil {
				return err
			}
		}
		if pending, err = s.pending(ctx, tx, tenant, id); err != nil {
			return err
		}
		if pending.Status != status {
			return ErrSettled
		}
		return nil
	})
	return pending, err
}

func (s *Store) pending(ctx context.Context, tx pgx.Tx, tenant, id string) (Pending, error) {
	row, err := s.q.GetPending(ctx, tx, dbsql.GetPendingParams{Tenant: tenant, ID: id})
	if err != nil {
		return Pending{}, missing(err, ThingPending, id, "reading the pending change")
	}
	return pendingOf(row.Pending), nil
}

func pendingOf(p dbsql.Pending) Pending {
	return Pending{
		ID: p.ID, Number: p.Number, Tenant: p.Tenant, Session: p.Session, Kind: ChangeKind(p.Kind),
		Status: PendingStatus(p.Status), Before: p.Before, After: p.After, OccurredAt: p.OccurredAt,
		ReceivedAt: p.ReceivedAt, AnsweredAt: p.AnsweredAt,
	}
}
