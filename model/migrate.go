package model

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema up to date. Any number of processes may call it at the same time: one does the work under a
// lock of the database, the others wait for it. Migrations only go forward; each runs in a transaction.
func Migrate(ctx context.Context, url string) error {
	err := withMigrations(url, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// SchemaPending says whether Migrate has something to do. A schema newer than this program is not pending.
func SchemaPending(ctx context.Context, url string) (bool, error) {
	pending := false
	err := withMigrations(url, func(p *goose.Provider) error {
		var err error
		pending, err = p.HasPending(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("looking for pending migrations: %w", err)
	}
	return pending, nil
}

func withMigrations(url string, fn func(*goose.Provider) error) (err error) {
	db, err := openSQL(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	return fn(p)
}

// openSQL opens the database for goose, which needs database/sql. A migration may take longer than a Store's statements.
func openSQL(url string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	withoutPool(cfg)
	return stdlib.OpenDB(*cfg), nil
}
