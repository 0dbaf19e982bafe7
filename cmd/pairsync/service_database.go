package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/exaring/otelpgx"

	"pairsync/internal/config"
	"pairsync/internal/embedded"
	"pairsync/model"
)

// startDatabase starts the embedded server when no other is named, and a part that waits for the database and its schema.
func (s *service) startDatabase(ctx context.Context) error {
	url := s.cfg.DatabaseURL.Reveal()
	if url == "" {
		server, err := startPostgres(ctx, s.cfg, s.progress)
		if err != nil {
			return err
		}
		s.parts.onStop("local PostgreSQL", workGrace+shortGrace, func(context.Context) error { return server.Stop() })
		s.parts.start(ctx, "watch over PostgreSQL", shortGrace, func(ctx context.Context) error {
			select {
			case <-server.Done():
				return errors.New("the local PostgreSQL has ended; its log is in " + s.cfg.DataDir)
			case <-ctx.Done():
				return nil
			}
		})
		url = server.URL()
	}

	cfg := model.Config{URL: url}
	if s.cfg.OTLPEndpoint != "" {
		cfg.Tracer = otelpgx.NewTracer()
	}
	store, err := model.Open(ctx, cfg) // Doesn't connect.
	if err != nil {
		return fmt.Errorf("PAIRSYNC_DATABASE_URL: %w", err)
	}
	s.ready.Require("database", func(context.Context) error { _, err := s.store.get(); return err })
	s.parts.start(ctx, "database", shortGrace, func(ctx context.Context) error {
		defer store.Close()
		_, err := persist(ctx, s.log, "database", s.store.missing, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.prepareSchema(ctx, url)
		})
		if err != nil {
			return err
		}
		s.ready.Require("database", store.Ping)
		s.store.set(store)
		<-ctx.Done()
		return nil
	})
	return nil
}

// prepareSchema brings the schema up to date, or makes sure that it is.
func (s *service) prepareSchema(ctx context.Context, url string) error {
	if s.cfg.Migrate {
		return model.Migrate(ctx, url)
	}
	pending, err := model.SchemaPending(ctx, url)
	if err != nil {
		return err
	}
	if pending {
		return errors.New("the schema is behind this version of pairsync; run pairsync migrate")
	}
	return nil
}

// startPostgres says what to do when another process has the data.
func startPostgres(ctx context.Context, cfg config.Config, progress func(string)) (*embedded.Postgres, error) {
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{Dir: filepath.Join(cfg.DataDir, "postgres"), Progress: progress})
	if errors.Is(err, embedded.ErrInUse) {
		return nil, fmt.Errorf("another pairsync is using the database in %s; stop it, choose another PAIRSYNC_DATA_DIR, "+
			"or set PAIRSYNC_DATABASE_URL so that both can share one: %w", cfg.DataDir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("starting a local PostgreSQL, because PAIRSYNC_DATABASE_URL is not set: %w", err)
	}
	return server, nil
}
