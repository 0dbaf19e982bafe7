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

func newBed(t testing.TB) *bed {
	t.Helper()
	url := testbed.DatabaseURL(t)
	ctx := t.Context()
	if err := model.Migrate(ctx, url); err != nil {
		t.Fatal(err)
	}
	store, err := model.Open(ctx, model.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	db, err := pgxpool.New(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	b := &bed{store, url, db}
	b.tenant(t, "t")
	return b
}

// tenant adds an organisation with the three people.
func (b *bed) tenant(t testing.TB, id string) {
	t.Helper()
	if _, _, err := b.PutTenant(t.Context(), model.Tenant{ID: id, Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"ada", "grace", "joan"} {
		b.participant(t, id, fmt.Sprintf("p-%d", i+1), name+"@contoso.example")
	}
}

func (b *bed) participant(t testing.TB, tenant, id, email string) {
	t.Helper()
	if _, _, err := b.PutParticipant(t.Context(), model.Participant{Tenant: tenant, ID: id, Email: email}); err != nil {
		t.Fatal(err)
	}
}

// exec runs a statement of the test's own.
func (b *bed) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := b.db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// number reads one number.
func (b *bed) number(t testing.TB, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := b.db.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// tomorrow is a full hour of tomorrow, so that a session is upcoming whenever the test runs.
func tomorrow(hour int) time.Time {
	return time.Now().UTC().Truncate(24 * time.Hour).Add(time.Duration(24+hour) * time.Hour)
}

// linkOf is a session of Ada and Grace tomorrow at nine, whose event is named after it.
func linkOf(id string) model.Link {
	return model.Link{
		Tenant: "t", ID: id, Organizer: "p-1", Attendees: []string{"p-2"}, StartsAt: tomorrow(9), EndsAt: tomorrow(10),
		TimeZone: "Europe/Berlin", Title: "Mentoring", OnlineMeeting: "teams", EventID: "AAk-" + id,
	}
}

func (b *bed) link(t testing.TB, l model.Link) model.Session {
	t.Helper()
	s, created, err := b.LinkSession(t.Context(), l)
	if err != nil || !created {
		t.Fatalf("linking %s: created %v, %v", l.ID, created, err)
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
func (b *bed) commit(t testing.TB, r model.Reading) model.Outcome {
	t.Helper()
	out, err := b.Commit(t.Context(), []model.Reading{r})
	if err != nil || out[0].Err != nil {
		t.Fatalf("committing: %v, %v", err, out)
	}
	return out[0]
}

// settle brings a new session through its first reading.
func (b *bed) settle(t testing.TB, s model.Session) model.Session {
	t.Helper()
	return b.commit(t, reading(s, eventOf(s, 1))).Session
}

func (b *bed) session(t testing.TB, id string) model.Session {
	t.Helper()
	s, err := b.Session(t.Context(), "t", id)
	if err != nil {
		t.Fatal(err)
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

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
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

func notFound(t testing.TB, err error, thing, id string) {
	t.Helper()
	m, ok := errors.AsType[*model.MissingError](err)
	if !errors.Is(err, model.ErrNotFound) || !ok || m.Thing != thing || m.ID != id {
		t.Errorf("error %v, want %s %s not found", err, thing, id)
	}
}

// lockRow holds a row lock of a session on a connection of its own until the returned function is called.
func (b *bed) lockRow(t testing.TB, id string) (release func()) {
	t.Helper()
	tx, err := b.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT 1 FROM sessions WHERE tenant = 't' AND id = $1 FOR UPDATE", id); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	}
}
