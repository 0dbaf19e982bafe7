package model

import (
	"context"
	"fmt"
	"time"

	"pairsync/model/internal/dbsql"
)

// distantFuture is later than any time that Outlook or the platform knows; PostgreSQL and JSON can both say it.
func distantFuture() time.Time { return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC) }

// maxPage bounds every list, whatever the caller asks for.
const maxPage = 1000

// page is the limit that is applied: at most maxPage, which is also what zero means.
func page(limit int) int32 {
	if limit <= 0 || limit > maxPage {
		return maxPage
	}
	return int32(limit)
}

// Session returns a session. The error is ErrNotFound when there is none.
func (s *Store) Session(ctx context.Context, tenant, id string) (Session, error) {
	return s.session(ctx, s.pool, tenant, id)
}

func (s *Store) session(ctx context.Context, db dbsql.DBTX, tenant, id string) (Session, error) {
	row, err := s.q.GetSession(ctx, db, dbsql.GetSessionParams{Tenant: tenant, ID: id})
	if err != nil {
		return Session{}, missing(err, ThingSession, id, "reading the session")
	}
	return sessionOf(row.Session, row.Email, row.MailboxStatus)
}

// SessionFilter says which sessions of a tenant are listed. Zero values don't filter.
type SessionFilter struct {
	Tenant string
	Status SessionStatus
	// Participant is an organizer or attendee.
	Participant string
	// From and To bound the start: From <= starts_at < To.
	From, To time.Time
	// AfterStartsAt and AfterID are those of the last session of the page before; both zero for the first page.
	AfterStartsAt time.Time
	AfterID       string
	// Limit is at most 1000, which is also what zero means.
	Limit int
}

// Sessions lists sessions by start and id.
func (s *Store) Sessions(ctx context.Context, f SessionFilter) ([]Session, error) {
	before := f.To
	if before.IsZero() {
		before = distantFuture()
	}
	rows, err := s.q.ListSessions(ctx, s.pool, dbsql.ListSessionsParams{
		Tenant: f.Tenant, Status: string(f.Status), Participant: f.Participant, StartsFrom: f.From, StartsBefore: before,
		AfterStartsAt: f.AfterStartsAt, AfterID: f.AfterID, Count: page(f.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	sessions := make([]Session, 0, len(rows))
	for _, row := range rows {
		session, err := sessionOf(row.Session, row.Email, row.MailboxStatus)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, session)
	}
	return sessions, nil
}

// EventRef names an event that a notification spoke of.
type EventRef struct {
	Tenant string
	// EventID is compared to the letter.
	EventID string
}

// Tied returns, for each event, the sessions that it is tied to: the one that is this event, or all that are occurrences of
// this series. None for an event that is none of ours. It is one statement however many events there are.
func (s *Store) Tied(ctx context.Context, refs []EventRef) ([][]Session, error) {
	tied := make([][]Session, len(refs))
	if len(refs) == 0 {
		return tied, nil
	}
	arg := dbsql.TiedSessionsParams{
		Tenants: make([]string, len(refs)), Events: make([]string, len(refs)), Numbers: make([]int32, len(refs)),
	}
	for i, ref := range refs {
		arg.Tenants[i], arg.Events[i], arg.Numbers[i] = ref.Tenant, ref.EventID, int32(i)
	}
	rows, err := s.q.TiedSessions(ctx, s.pool, arg)
	if err != nil {
		return nil, fmt.Errorf("looking up events: %w", err)
	}
	for _, row := range rows {
		session, err := sessionOf(row.Session, row.Email, row.MailboxStatus)
		if err != nil {
			return nil, err
		}
		tied[row.N] = append(tied[row.N], session)
	}
	return tied, nil
}
