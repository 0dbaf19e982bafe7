package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"pairsync/internal/config"
	"pairsync/internal/embedded"
	"pairsync/internal/queue"
)

// startNATS starts the embedded server when no other is named, and a part that connects and declares the streams.
func (s *service) startNATS(ctx context.Context) error {
	connection := queue.ConnConfig{URL: s.cfg.NATSURL.Reveal(), CredsFile: s.cfg.NATSCreds, Name: "pairsync " + s.roles.String(), Log: s.log}
	if s.cfg.NATSURL.Empty() {
		s.progress("starting NATS JetStream in this process")
		server, err := startEmbeddedNATS(ctx, s.cfg, s.log)
		if err != nil {
			return err
		}
		s.parts.onStop("embedded NATS", workGrace, func(context.Context) error { return server.Stop() })
		connection.InProcess = server.InProcess()
	}

	s.ready.Require("nats", func(context.Context) error { _, err := s.broker.get(); return err })
	s.parts.start(ctx, "nats", shortGrace, func(ctx context.Context) error {
		nc, err := persist(ctx, s.log, "nats", s.broker.missing, func(ctx context.Context) (*nats.Conn, error) {
			return queue.Connect(ctx, connection)
		})
		if err != nil {
			return err
		}
		defer nc.Close()
		broker, err := persist(ctx, s.log, "nats streams", s.broker.missing, func(ctx context.Context) (*queue.Broker, error) {
			broker, err := queue.Open(ctx, nc, queue.Config{Replicas: s.cfg.NATSReplicas})
			if mismatch, ok := errors.AsType[*queue.MismatchError](err); ok {
				return nil, &hopelessError{fmt.Errorf("%w; pairsync never changes that by itself, because messages could get lost", mismatch)}
			}
			return broker, err
		})
		if err != nil {
			return err
		}
		s.ready.Require("nats", func(ctx context.Context) error {
			if status := nc.Status(); status != nats.CONNECTED {
				return errors.New("is not connected: " + status.String())
			}
			return broker.Ping(ctx)
		})
		s.broker.set(broker)
		<-ctx.Done()
		return nil
	})
	return nil
}

// startEmbeddedNATS says what to do when another process has the data.
func startEmbeddedNATS(ctx context.Context, cfg config.Config, log *slog.Logger) (*embedded.NATS, error) {
	server, err := embedded.StartNATS(ctx, embedded.NATSConfig{Dir: filepath.Join(cfg.DataDir, "nats"), Log: log})
	if errors.Is(err, embedded.ErrInUse) {
		return nil, fmt.Errorf("another pairsync is using the NATS data in %s; stop it, choose another PAIRSYNC_DATA_DIR, "+
			"or set PAIRSYNC_NATS_URL so that both can share one: %w", cfg.DataDir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the embedded NATS: %w", err)
	}
	return server, nil
}
