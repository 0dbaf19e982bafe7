package model

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/model/internal/dbsql"
)

// Reading is an observation on its way into the session that it is of.
type Reading struct {
	Tenant      string
	Session     string
	Observation Observation
	Cause       Cause
	// ReceivedAt is when pairsync first heard of what led to the reading.
	ReceivedAt time.Time
	// NextVerifyAt is when the session must be compared with Outlook again if nothing is heard of it. Zero leaves it as it
	// was.
	NextVerifyAt time.Time
	// Applied is set when the observation was made by writing the session's request into Outlook.
	Applied *Applied
}

// Outcome is what became of a Reading.
type Outcome struct {
	Verdict Verdict
	// Changes are committed, and complete.
	Changes []Change
	// Session is as it stands after the reading, but for UpdatedAt.
	Session Session
	// Err is set when this reading, and it alone, could not be committed: ErrNotFound, or data that PostgreSQL refuses.
	Err error
}

// commitAttempts bounds how often a transaction that lost a race for locks is tried again.
const commitAttempts = 4

// Commit brings readings into their sessions: it locks the sessions, refuses readings older than what is stored, and writes
// each session, one row per change and one outbox row per change. All of it is one transaction for all readings, unless one of
// them can't be committed: then the others are committed without it. Several readings of one session are taken in the order
// given.
//
// An error means that the database as a whole failed. Then some readings may be committed all the same; committing them
// again does no harm.
func (s *Store) Commit(ctx context.Context, readings []Reading) ([]Outcome, error) {
	outcomes := make([]Outcome, len(readings))
	if err := s.commit(ctx, readings, outcomes); err != nil {
		return nil, fmt.Errorf("committing readings: %w", err)
	}
	return outcomes, nil
}

// commit tries the readings together and, when one of them is at fault, in halves.
func (s *Store) commit(ctx context.Context, readings []Reading, outcomes []Outcome) error {
	if len(readings) == 0 {
		return nil
	}
	err := s.commitTogether(ctx, readings, outcomes)
	for attempt := 1; attempt < commitAttempts && lostRace(err); attempt++ {
		err = s.commitTogether(ctx, readings, outcomes)
	}
	switch {
	case err == nil:
		return nil
	case !refused(err):
		return err
	case len(readings) == 1:
		outcomes[0] = Outcome{Err: err}
		return nil
	}
	half := len(readings) / 2
	if err := s.commit(ctx, readings[:half], outcomes[:half]); err != nil {
		return err
	}
	return s.commit(ctx, readings[half:], outcomes[half:])
}

// lostRace says whether the same transaction may succeed if tried again.
func lostRace(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == codeSerialization || pg.Code == codeDeadlock)
}

// refused says whether the database is well and refuses the data: classes 22 and 23, or a row that can't be decoded.
func refused(err error) bool {
	if errors.Is(err, errUnreadable) {
		return true
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// commitTogether commits all readings in one transaction of two flights: locking reads, then all writes and the commit.
func (s *Store) commitTogether(ctx context.Context, readings []Reading, outcomes []Outcome) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("taking a connection: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "begin"); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := s.reconcile(ctx, conn, readings, outcomes); err != nil {
		// What fails to roll back is closed by the pool, which rolls back too.
		_, rollback := conn.Exec(context.WithoutCancel(ctx), "rollback")
		return errors.Join(err, rollback)
	}
	return nil
}

// reconcile works in an open transaction and commits it.
func (s *Store) reconcile(ctx context.Context, conn *pgxpool.Conn, readings []Reading, outcomes []Outcome) error {
	sessions, policies, err := s.lockSessions(ctx, conn, readings)
	if err != nil {
		return err
	}
	if readings, err = s.resolve(ctx, conn, readings, sessions); err != nil {
		return err
	}
	w := newWriting(len(readings))
	for i, r := range readings {
		outcomes[i] = w.take(r, sessions, policies[r.Tenant])
	}
	if err := w.send(ctx, conn, sessions); err != nil {
		return err
	}
	for i := range outcomes {
		for j := range outcomes[i].Changes {
			w.complete(&outcomes[i].Changes[j])
		}
	}
	return nil
}

// lockSessions locks the sessions of the readings and returns those that exist, and the policies of their tenants.
func (s *Store) lockSessions(
	ctx context.Context, db dbsql.DBTX, readings []Reading,
) (map[SessionKey]Session, map[string]Policy, error) {
	sessions := make(map[SessionKey]Session, len(readings))
	arg := dbsql.LockSessionsParams{}
	for _, r := range readings {
		key := SessionKey{r.Tenant, r.Session}
		if _, twice := sessions[key]; twice {
			continue
		}
		sessions[key] = Session{}
		arg.Tenants, arg.Ids = append(arg.Tenants, r.Tenant), append(arg.Ids, r.Session)
	}
	rows, err := s.q.LockSessions(ctx, db, arg)
	if err != nil {
		return nil, nil, fmt.Errorf("locking sessions: %w", err)
	}
	policies := map[string]Policy{}
	clear(sessions)
	for _, row := range rows {
		session, err := sessionOf(row.Session, row.Email, row.MailboxStatus)
		if err != nil {
			return nil, nil, err
		}
		sessions[SessionKey{session.Tenant, session.ID}] = session
		policies[session.Tenant] = Policy{PolicyChoice(row.PolicyReschedule), PolicyChoice(row.PolicyCancel)}
	}
	return sessions, policies, nil
}

// resolve finds out which of the people whom the sessions don't know are in the programme. It costs a statement only when
// there are any.
func (s *Store) resolve(
	ctx context.Context, db dbsql.DBTX, readings []Reading, sessions map[SessionKey]Session,
) ([]Reading, error) {
	type address struct{ tenant, email string }
	found := map[address]string{}
	arg := dbsql.ParticipantsByEmailParams{}
	for _, r := range readings {
		known := sessions[SessionKey{r.Tenant, r.Session}].Attendees
		for _, o := range r.Observation.Attendees {
			a := address{r.Tenant, strings.ToLower(o.Email)}
			if now := matched(known, o); now.Participant != "" {
				continue
			}
			if _, twice := found[a]; !twice {
				found[a] = ""
				arg.Tenants, arg.Emails = append(arg.Tenants, a.tenant), append(arg.Emails, a.email)
			}
		}
	}
	if len(found) == 0 {
		return readings, nil
	}
	rows, err := s.q.ParticipantsByEmail(ctx, db, arg)
	if err != nil {
		return nil, fmt.Errorf("looking up addresses: %w", err)
	}
	for _, row := range rows {
		found[address{row.Tenant, row.Email}] = row.ID
	}
	resolved := make([]Reading, 0, len(readings))
	for _, r := range readings {
		attendees := make([]ObservedAttendee, 0, len(r.Observation.Attendees))
		for _, o := range r.Observation.Attendees {
			if o.Participant == "" {
				o.Participant = found[address{r.Tenant, strings.ToLower(o.Email)}]
			}
			attendees = append(attendees, o)
		}
		r.Observation.Attendees = attendees
		resolved = append(resolved, r)
	}
	return resolved, nil
}

// errUnreadable says that a row or a document in it can't be decoded or encoded: it will never be otherwise.
var errUnreadable = errors.New("unreadable")

// flight is everything that goes to the server with the commit.
func flight(ctx context.Context, conn *pgxpool.Conn, b *pgx.Batch) error {
	b.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return fmt.Errorf("transaction ended with %s", tag.String())
		}
		return nil
	})
	return conn.SendBatch(ctx, b).Close()
}
