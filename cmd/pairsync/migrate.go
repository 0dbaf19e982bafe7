package main

import (
	"context"
	"errors"

	"pairsync/internal/config"
	"pairsync/model"
)

func migrateCommand() command {
	return command{
		name:    "migrate",
		summary: "brings the database schema up to date and exits",
		help: "The database is PAIRSYNC_DATABASE_URL, or the local one under PAIRSYNC_DATA_DIR. Nothing is done when the\n" +
			"schema is up to date. serve does the same at its start unless PAIRSYNC_MIGRATE=false.",
		run: runMigrate,
	}
}

func runMigrate(ctx context.Context, cmd command, inv *invocation) error {
	if err := inv.noArguments(cmd, nil); err != nil {
		return err
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	return withDatabase(ctx, cfg, func(line string) { inv.say("%s", line) }, func(url string) error {
		pending, err := model.SchemaPending(ctx, url)
		if err != nil {
			return err
		}
		if !pending {
			inv.say("the schema is up to date already")
			return nil
		}
		if err := model.Migrate(ctx, url); err != nil {
			return err
		}
		inv.say("the schema is up to date now")
		return nil
	})
}

// withDatabase calls use with the URL of the database, starting the local one for as long as that takes when no other is
// named.
func withDatabase(ctx context.Context, cfg config.Config, progress func(string), use func(url string) error) error {
	if !cfg.DatabaseURL.Empty() {
		return use(cfg.DatabaseURL.Reveal())
	}
	server, err := startPostgres(ctx, cfg, progress)
	if err != nil {
		return err
	}
	return errors.Join(use(server.URL()), server.Stop())
}
