package model_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// bed is a database with one organisation: p-1 (Ada) and p-2 (Grace) and p-3 (Joan).
type bed struct {
	*model.Store
	url string
	// db is for looking at, and putting into the database, what the Store doesn't show or do.
	db *pgxpool.Pool
}

func newBed(tb testing.TB) *bed {
	tb.Helper()
	url := testbed.DatabaseURL(tb)
	ctx := tb.Context()
	store, err := model.Open(ctx, model.Config{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(store.Close)
	db, err := pgxpool.New(ctx, url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	b := &bed{store, url, db}
	b.tenant(tb, "t")
	return b
}

// tenant adds an organisation with the three people.
func (b *bed) tenant(tb testing.TB, id string) {
	tb.Helper()
	if _, _, err := b.PutTenant(tb.Context(), model.Tenant{ID: id, Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide}); err != nil {
		tb.Fatal(err)
	}
	for i, name := range []string{"ada", "grace", "joan"} {
		b.participant(tb, id, fmt.Sprintf("p-%d", i+1), name+"@contoso.example")
	}
}

func (b *bed) participant(tb testing.TB, tenant, id, email string) {
	tb.Helper()
	if _, _, err := b.PutParticipant(tb.Context(), model.Participant{Tenant: tenant, ID: id, Email: email}); err != nil {
		tb.Fatal(err)
	}
}

// exec runs a statement of the test's own.
func (b *bed) exec(tb testing.TB, sql string) {
	tb.Helper()
	if _, err := b.db.Exec(tb.Context(), sql); err != nil {
		tb.Fatal(err)
	}
}

// number reads one number.
func (b *bed) number(tb testing.TB, sql string) int64 {
	tb.Helper()
	var n int64
	if err := b.db.QueryRow(tb.Context(), sql).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// tomorrow is a full hour of tomorrow, so that a session is upcoming whenever the test runs.
func tomorrow(hour int) time.Time {
	return time.Now().UTC().Truncate(24 * time.Hour).Add(time.Duration(24+hour) * time.Hour)
}

// linkOf is a session of Ada and Grace tomorrow at nine, whose event is named after it.
func linkOf(id string) model.SessionRequest {
	return model.SessionRequest{
		Tenant: "t", ID: id, Organizer: "p-1", Attendees: []string{"p-2"}, StartsAt: tomorrow(9), EndsAt: tomorrow(10),
		TimeZone: "Europe/Berlin", Title: "Mentoring", OnlineMeeting: "teams", EventID: "AAk-" + id,
	}
}

func (b *bed) link(tb testing.TB, l model.SessionRequest) model.Session {
	tb.Helper()
	s, created, err := b.PutSession(tb.Context(), l)
	if err != nil || !created {
		tb.Fatalf("linking %s: created %v, %v", l.ID, created, err)
	}
	return s
}

// eventOf is the event of a session as it stands, version n of it.
func eventOf(s model.Session, n int) model.Observation {
	o := model.Observation{
		Found: true, EventID: s.EventID, ICalUID: "uid-" + s.ID, ChangeKey: fmt.Sprintf("k%d", n),
		StartsAt: s.StartsAt, EndsAt: s.EndsAt, JoinURL: "https://teams.example/" + s.ID,
		LastModifiedAt: modified(n), ReadAt: time.Now(),
	}
	for _, a := range s.Attendees {
		o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: a.Email, RSVP: a.RSVP})
	}
	return o
}

// modified is Outlook's time of the nth version of an event.
func modified(n int) time.Time {
	return time.Now().UTC().Truncate(time.Hour).Add(-48*time.Hour + time.Duration(n)*time.Second)
}

// reading is what a notification led to.
func reading(s model.Session, o model.Observation) model.Reading {
	return model.Reading{
		Tenant: s.Tenant, Session: s.ID, Observation: o, Cause: model.CauseNotification,
		ReceivedAt: time.Now(), NextVerifyAt: time.Now().Add(6 * time.Hour),
	}
}

// commit commits one reading, which must go well.
func (b *bed) commit(tb testing.TB, r model.Reading) model.Outcome {
	tb.Helper()
	out, err := b.Commit(tb.Context(), []model.Reading{r})
	if err != nil || out[0].Err != nil {
		tb.Fatalf("committing: %v, %v", err, out)
	}
	return out[0]
}

// settle brings a new session through its first reading.
func (b *bed) settle(tb testing.TB, s model.Session) model.Session {
	tb.Helper()
	return b.commit(tb, reading(s, eventOf(s, 1))).Session
}

func (b *bed) session(tb testing.TB, id string) model.Session {
	tb.Helper()
	s, err := b.Session(tb.Context(), "t", id)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func kinds(changes []model.Change) []model.ChangeKind {
	var all []model.ChangeKind
	for _, c := range changes {
		all = append(all, c.Kind)
	}
	return all
}

func ids(sessions []model.Session) []string {
	var all []string
	for _, s := range sessions {
		all = append(all, s.ID)
	}
	return all
}

func equal(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestOpenRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, err := model.Open(t.Context(), model.Config{URL: "postgres://[nowhere"}); err == nil {
		t.Error("a URL that is none was taken")
	}
}

// TestOpenWithoutADatabase: a process starts when its database is down, and Ping says so.
func TestOpenWithoutADatabase(t *testing.T) {
	t.Parallel()
	s, err := model.Open(t.Context(), model.Config{URL: "postgres://localhost:1/none?connect_timeout=1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a database that is not there answered")
	}
}

func TestLimitsOfAConnection(t *testing.T) {
	t.Parallel()
	url := testbed.EmptyDatabaseURL(t)
	for _, tt := range []struct {
		cfg       model.Config
		conns     int32
		statement string
	}{
		{model.Config{URL: url}, 12, "30s"},
		{model.Config{URL: url + "&pool_max_conns=3&statement_timeout=5s"}, 3, "5s"},
		{model.Config{URL: url + "&pool_max_conns=3", MaxConns: 2}, 2, "30s"},
	} {
		s, err := model.Open(t.Context(), tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		conns, settings, err := model.Limits(t.Context(), s, "statement_timeout", "lock_timeout")
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "connections", conns, tt.conns)
		equal(t, "limits", settings, []string{tt.statement, "10s"})
	}
}

// TestTimesAreUTC: what the database returns compares and prints the same on every machine.
func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	for name, at := range map[string]time.Time{"start": s.StartsAt, "creation": s.CreatedAt, "reading": *b.session(t, "s").ReadAt} {
		if at.Location() != time.UTC {
			t.Errorf("%s in %v", name, at.Location())
		}
	}
}

func notFound(tb testing.TB, err error, thing, id string) {
	tb.Helper()
	m, ok := errors.AsType[*model.MissingError](err)
	if !errors.Is(err, model.ErrNotFound) || !ok || m.Thing != thing || m.ID != id {
		tb.Errorf("error %v, want %s %s not found", err, thing, id)
	}
}

// hold runs a statement in a transaction of its own, which stays open until the returned function commits it.
func (b *bed) hold(tb testing.TB, sql string, args ...any) (release func()) {
	tb.Helper()
	tx, err := b.db.Begin(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tx.Rollback(context.WithoutCancel(tb.Context())); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			tb.Error(err)
		}
	})
	if _, err := tx.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := tx.Commit(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	}
}

// waiting waits until n connections wait for locks of a kind.
func (b *bed) waiting(tb testing.TB, n int64, kind string) {
	tb.Helper()
	testbed.Eventually(tb, "somebody to wait for a lock", func(context.Context) bool {
		return n == b.number(tb, "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "+
			"WHERE NOT granted AND datname = current_database() AND locktype = '"+kind+"'")
	})
}
