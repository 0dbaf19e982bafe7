package model

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// Due is a session that must be compared with Outlook.
type Due struct {
	Session Session
	// MailboxID and Email are the organizer's; MailboxID is empty until resolved.
	MailboxID string
	Email     string
	Cause     Cause
	// DueSince is when somebody asked for the reading, or else when it became due.
	DueSince time.Time
}

// ClaimDue claims up to limit sessions that are due and have not ended, longest due first, so that nobody else gets them
// for the length of the lease. A claim ends with a reading (Commit), MailboxFailed or PostponeVerify; when none of them comes,
// the session is due again after the lease. Cancelled sessions are due too: they may be reinstated.
func (s *Store) ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]Due, error) {
	var claimed []Due
	for left := page(limit); left > 0; {
		count := left
		rows, err := s.q.ClaimDue(ctx, s.pool, dbsql.ClaimDueParams{Count: count, Lease: lease})
		if err != nil {
			return nil, fmt.Errorf("claiming due sessions: %w", err)
		}
		for _, row := range rows {
			if row.Retired {
				continue
			}
			due, err := dueOf(row)
			if err != nil {
				return nil, err
			}
			claimed = append(claimed, due)
			left--
		}
		if len(rows) < int(count) {
			break // Nothing more is due.
		}
	}
	return claimed, nil
}

func dueOf(row dbsql.ClaimDueRow) (Due, error) {
	session, err := sessionOf(row.Session, row.Email, row.MailboxStatus)
	if err != nil {
		return Due{}, err
	}
	since := row.Session.VerifyRequestedAt
	if since == nil {
		since = row.Session.VerifyDueAt
	}
	return Due{
		Session: session, MailboxID: row.MailboxID, Email: row.Email, Cause: Cause(row.Session.VerifyCause),
		DueSince: value(since),
	}, nil
}

// NextDue returns when the next session becomes due or leaves the sweep; false when there is none.
func (s *Store) NextDue(ctx context.Context) (time.Time, bool, error) {
	at, err := s.q.NextDue(ctx, s.pool)
	if isNoRows(err) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("looking for the next due session: %w", err)
	}
	return value(at), true, nil
}

// SessionKey names a session.
type SessionKey struct {
	Tenant string
	ID     string
}

// PostponeVerify ends claims without a reading: the sessions are due again at the given time, for the same cause.
func (s *Store) PostponeVerify(ctx context.Context, keys []SessionKey, at time.Time) error {
	arg := dbsql.PostponeVerifyParams{At: at}
	for _, k := range keys {
		arg.Tenants, arg.Ids = append(arg.Tenants, k.Tenant), append(arg.Ids, k.ID)
	}
	if err := s.q.PostponeVerify(ctx, s.pool, arg); err != nil {
		return fmt.Errorf("postponing sessions: %w", err)
	}
	return nil
}

// SweepMailbox makes all upcoming sessions of a mailbox due, the soonest at once and a large calendar over a few seconds, and
// says how many there are. Readings that are under way began too early and don't count.
func (s *Store) SweepMailbox(ctx context.Context, tenant, mailboxID string, cause Cause) (n int, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		organizers, err := s.q.OrganizersOfMailbox(ctx, tx, dbsql.OrganizersOfMailboxParams{
			Tenant: tenant, MailboxID: strings.ToLower(mailboxID),
		})
		if err != nil {
			return fmt.Errorf("looking up the mailbox: %w", err)
		}
		n, err = s.sweepOrganizers(ctx, tx, tenant, organizers, cause)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s *Store) sweepOrganizers(
	ctx context.Context, tx pgx.Tx, tenant string, organizers []string, cause Cause,
) (int, error) {
	n, err := s.q.SweepOrganizers(ctx, tx, dbsql.SweepOrganizersParams{
		Tenant: tenant, Organizers: organizers, Cause: string(cause),
	})
	if err != nil {
		return 0, fmt.Errorf("making sessions due: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	if err := s.q.NotifySweep(ctx, tx); err != nil {
		return 0, fmt.Errorf("notifying: %w", err)
	}
	return int(n), nil
}
