package testbed

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/internal/embedded"
)

const (
	// template is the migrated database that every test gets a copy of.
	template = "testbed_template"
	// connections is enough for the pools of all tests that run at the same time.
	connections = 400
)

// postgres is the one server of this test process.
var postgres server

type server struct {
	once  sync.Once
	err   error
	dir   string
	pg    *embedded.Postgres
	admin *pgxpool.Pool
	// strategy is how a template is copied.
	strategy string
	created  atomic.Int64
}

// DatabaseURL returns the connection string of a fresh, migrated database, which is dropped when the test ends.
func DatabaseURL(tb testing.TB) string {
	tb.Helper()
	s := running(tb)
	return s.create(tb, " TEMPLATE "+template+s.strategy)
}

// EmptyDatabaseURL is DatabaseURL for a database that nothing has been done to, for tests of the migration itself.
func EmptyDatabaseURL(tb testing.TB) string {
	tb.Helper()
	return running(tb).create(tb, "")
}

func (s *server) create(tb testing.TB, from string) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", s.created.Add(1))
	if _, err := s.admin.Exec(tb.Context(), "CREATE DATABASE "+name+from); err != nil {
		tb.Fatalf("testbed: creating a database: %v", err)
	}
	tb.Cleanup(func() {
		if _, err := s.admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("testbed: dropping a database: %v", err)
		}
	})
	return s.database(name)
}

func running(tb testing.TB) *server {
	tb.Helper()
	postgres.once.Do(func() { postgres.err = postgres.start(context.Background()) })
	if postgres.err != nil {
		tb.Fatalf("testbed: %v", postgres.err)
	}
	return &postgres
}

func (s *server) start(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "pairsync-testbed-")
	if err != nil {
		return err
	}
	s.dir = dir
	if s.pg, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{Dir: dir, Ephemeral: true, MaxConnections: connections}); err != nil {
		return err
	}
	if s.admin, err = pgxpool.New(ctx, s.pg.URL()); err != nil {
		return err
	}
	var version int
	if err := s.admin.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version >= 150000 {
		s.strategy = " STRATEGY FILE_COPY" // Without fsync copying files is faster than logging every page.
	}
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	if err := migrate(ctx, s.database(template)); err != nil {
		return fmt.Errorf("migrating the template: %w", err)
	}
	// A template that nobody can connect to can be copied at any time.
	_, err = s.admin.Exec(ctx, "ALTER DATABASE "+template+" IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

func (s *server) database(name string) string {
	u, err := url.Parse(s.pg.URL())
	if err != nil {
		panic(err) // Our own server's.
	}
	u.Path = "/" + name
	return u.String()
}

func (s *server) stop() error {
	if s.admin != nil {
		s.admin.Close()
	}
	var err error
	if s.pg != nil {
		err = s.pg.Stop()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
