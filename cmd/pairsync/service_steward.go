package main

import (
	"context"
	"fmt"

	"pairsync/internal/callback"
	"pairsync/internal/config"
	"pairsync/internal/mail"
	"pairsync/model"
	"pairsync/workers"
)

// runSteward calls receivers, writes letters and finds out who lets us in, until ctx ends.
func (s *service) runSteward(ctx context.Context, store *model.Store) error {
	receivers, err := callback.New(callback.Config{
		AllowPrivate: s.cfg.CallbackAllowPrivate, UserAgent: "pairsync/" + s.build.Version,
	})
	if err != nil {
		return fmt.Errorf("making the client of receivers: %w", err)
	}
	defer receivers.Close()
	deps := workers.StewardDeps{
		Store: store, Sealer: s.sealer, Receivers: receivers, Entra: s.graph, Log: s.named("steward"), Registerer: s.registry,
	}
	if s.post != nil {
		deps.Post = s.post
	}
	steward, err := workers.NewSteward(workers.StewardConfig{}, deps)
	if err != nil {
		return err
	}
	return steward.Run(ctx)
}

// newPost gives nil when no mail server is named: then letters are only logged.
func newPost(cfg config.Config) (*mail.Sender, error) {
	if cfg.SMTPURL.Empty() {
		return nil, nil //nolint:nilnil // Nobody to send letters is no error.
	}
	return mail.New(mail.Config{URL: cfg.SMTPURL.Reveal(), From: cfg.MailFrom})
}
