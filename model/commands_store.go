package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// ClaimCommands returns up to limit open requests whose command is due, longest due first. Each is due again after as long as
// its request has been waiting, but no sooner than a twelfth of again and no later than again, so that a command that was lost,
// or whose carrying out was given up, comes again for as long as the request is open.
func (s *Store) ClaimCommands(ctx context.Context, limit int, again time.Duration) ([]Command, error) {
	rows, err := s.q.ClaimCommands(ctx, s.pool, dbsql.ClaimCommandsParams{Count: page(limit), Again: again})
	if err != nil {
		return nil, fmt.Errorf("claiming commands: %w", err)
	}
	commands := make([]Command, 0, len(rows))
	for _, row := range rows {
		commands = append(commands, Command(row))
	}
	return commands, nil
}

// NextCommandDue returns when the next command is due; false when no request is open.
func (s *Store) NextCommandDue(ctx context.Context) (time.Time, bool, error) {
	at, err := s.q.NextCommandDue(ctx, s.pool)
	return next(value(at), err, "looking for the next command")
}

// ClaimRequest claims a session's open request, so that nobody else carries it out for the length of the lease. It says false
// when no request is open, which is the end of its command, and ErrClaimed when somebody else has claimed it.
//
// A claim ends with a reading that has Applied set and leaves no request open, with RequestFailed, or with ReleaseRequest;
// when none of them comes, after the lease.
func (s *Store) ClaimRequest(
	ctx context.Context, tenant, session string, lease time.Duration,
) (work Work, open bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := s.lockRequest(ctx, tx, tenant, session)
		if err != nil {
			return err
		}
		now := locked.session
		if now.Request == nil || !now.Request.Open {
			return nil
		}
		until, err := s.q.LeaseRequest(ctx, tx, dbsql.LeaseRequestParams{Tenant: tenant, Session: session, Lease: lease})
		if isNoRows(err) {
			return ErrClaimed
		}
		if err != nil {
			return fmt.Errorf("claiming the request: %w", err)
		}
		open = true
		work = Work{
			Session: now, MailboxID: locked.row.MailboxID, Email: locked.row.Email, Method: Method(locked.row.Method),
			TransactionID: now.TransactionID(), Before: len(now.Request.Tried) > 0, ClaimedUntil: until,
		}
		return s.try(ctx, tx, &work.Session)
	})
	if err != nil {
		return Work{}, false, err
	}
	return work, open, nil
}

// try notes in the session what is about to be written into Outlook: until the write is confirmed, an event that shows it
// shows our own hand.
func (s *Store) try(ctx context.Context, tx pgx.Tx, session *Session) error {
	r := *session.Request
	if r.Kind == RequestCancel {
		return nil
	}
	r.Tried = slices.Clone(r.Tried)
	if !r.try(*session) {
		return nil
	}
	session.Request = &r
	intent, err := encodeIntent(*session)
	if err != nil {
		return err
	}
	err = s.q.SaveIntent(ctx, tx, dbsql.SaveIntentParams{
		Tenant: session.Tenant, ID: session.ID, Intent: intent, State: string(session.State),
	})
	if err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}
	return nil
}

// ReleaseRequest ends a claim whose request is still open; its command comes again at retryAt. A claim whose lease has run
// out, and perhaps is somebody else's by now, is left alone.
func (s *Store) ReleaseRequest(ctx context.Context, w Work, retryAt time.Time) error {
	err := s.q.ReleaseRequest(ctx, s.pool, dbsql.ReleaseRequestParams{
		Tenant: w.Session.Tenant, Session: w.Session.ID, RetryAt: &retryAt, ClaimedUntil: &w.ClaimedUntil,
	})
	if err != nil {
		return fmt.Errorf("releasing the request: %w", err)
	}
	return nil
}

// RequestFailed notes that a request can't be carried out, now or later. The session stays OutlookPending with the reason, a
// word of a closed set, until the platform asks anew or somebody changes the same in Outlook. It says whether that is news: a
// request that a newer one has replaced, or that is not open, is not.
func (s *Store) RequestFailed(
	ctx context.Context, tenant, session string, version int64, reason string,
) (changed bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := s.lockRequest(ctx, tx, tenant, session)
		if err != nil {
			return err
		}
		now := locked.session
		if now.Request == nil || !now.Request.Open || now.Request.Version != version {
			return nil
		}
		changed = true
		in := newIntention(now, locked.row.Version, int(locked.row.Bookings), now.Request.RequestedAt)
		r := *now.Request
		r.Open, r.Reason = false, reason
		in.after.Request = &r
		in.after.State = in.after.standing()
		return s.intend(ctx, tx, in)
	})
	return changed && err == nil, err
}
