package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/model/internal/dbsql"
)

// defaultMaxConns serves a process with all roles: two or three connections for the batches of the workers, the rest for
// the platform API. Listen and WithLock open their own.
const defaultMaxConns = 12

// Config says which database a Store uses.
type Config struct {
	// URL is a PostgreSQL URL or keyword string, version 14 or newer.
	URL string
	// MaxConns bounds the pool. Zero means the URL's pool_max_conns, or 12.
	MaxConns int32
	// Tracer is told of every statement; nil means nobody is.
	Tracer pgx.QueryTracer
}

// Store is the truth about tenants, participants, sessions, changes and subscriptions, kept in PostgreSQL. It is safe for
// concurrent use by any number of goroutines and processes.
//
// What is due, and until when somebody has claimed it, is judged by the clock of the database alone, so that processes whose
// clocks differ agree. Times that a caller hands over are stored as they are.
//
// Whoever changes several sessions in one transaction locks them by (tenant, id) first, subscriptions after them in the same
// order, and draws cursors of the change feed last. So no two transactions wait for each other.
type Store struct {
	pool *pgxpool.Pool
	q    *dbsql.Queries
}

// Open makes a Store. It doesn't connect: a database that is down shows in the first call, and in Ping.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	plain, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	if _, told := plain.RuntimeParams["pool_max_conns"]; !told {
		pc.MaxConns = defaultMaxConns
	}
	pc.MaxConns = cmp.Or(cfg.MaxConns, pc.MaxConns)
	pc.ConnConfig.Tracer = cfg.Tracer
	limit(pc.ConnConfig)
	pc.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		readUTC(conn)
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("making the connection pool: %w", err)
	}
	return &Store{pool: pool, q: dbsql.New()}, nil
}

// Close closes all connections. It waits for those that are in use.
func (s *Store) Close() { s.pool.Close() }

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("pinging the database: %w", err)
	}
	return nil
}

// limit bounds what one statement, one wait for a lock and one forgotten transaction can hold up, unless the URL says
// otherwise.
func limit(cfg *pgx.ConnConfig) {
	for name, value := range map[string]string{
		"application_name":                    "pairsync",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "30s",
	} {
		if _, told := cfg.RuntimeParams[name]; !told {
			cfg.RuntimeParams[name] = value
		}
	}
}

// withoutPool removes the parameters of pgxpool that a URL may carry: a server refuses them.
func withoutPool(cfg *pgx.ConnConfig) {
	maps.DeleteFunc(cfg.RuntimeParams, func(name, _ string) bool { return strings.HasPrefix(name, "pool_") })
}

// readUTC makes the connection return times in UTC; pgx's own habit is the zone of the process.
func readUTC(conn *pgx.Conn) {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
}

// inTx runs fn in a transaction. Any error of fn rolls it back.
func (s *Store) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// Codes of PostgreSQL errors that somebody branches on. https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	codeUniqueViolation     = "23505"
	codeForeignKeyViolation = "23503"
	codeSerialization       = "40001"
	codeDeadlock            = "40P01"
	codeLockNotAvailable    = "55P03"
)

// violates says whether err is a violation of the constraint or unique index with that name.
func violates(err error, code, constraint string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code && pg.ConstraintName == constraint
}

// missing turns "no rows" into a MissingError, and gives every other error its context.
func missing(err error, thing, id, doing string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return &MissingError{Thing: thing, ID: id}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
