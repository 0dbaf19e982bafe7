package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/config"
	"pairsync/internal/graph"
	"pairsync/internal/mail"
	"pairsync/internal/queue"
	"pairsync/model"
	"pairsync/ops"
)

// How long the parts may take to end, and all of them together: Kubernetes gives a pod 30 s.
const (
	totalGrace = 24 * time.Second
	doorGrace  = 8 * time.Second
	workGrace  = 12 * time.Second
	shortGrace = 5 * time.Second
)

// service is one serving process: what its parts share.
type service struct {
	cfg   config.Config
	roles roles
	build ops.Build
	log   *slog.Logger
	doors doors

	registry *prometheus.Registry
	ready    *ops.Readiness
	parts    *parts
	// progress is told in one line what a slow start is doing.
	progress func(line string)

	states *model.ClientStates
	sealer *model.Sealer
	// callbacks answer browsers that come back from Microsoft, once the console is there; nil when it is not in this process.
	callbacks map[string]*gate
	// graph is nil when no role of this process talks to Graph.
	graph *graph.Client
	// post is nil when letters to the owners of integrations are only logged.
	post   *mail.Sender
	store  *late[*model.Store]
	broker *late[*queue.Broker]
}

// newService makes what needs neither network nor disk, so that bad settings are found before anything starts.
func newService(cfg config.Config, chosen roles, build ops.Build, log *slog.Logger, d doors) (*service, error) {
	registry, err := ops.NewRegistry(build)
	if err != nil {
		return nil, fmt.Errorf("making the registry of metrics: %w", err)
	}
	s := &service{
		cfg: cfg, roles: chosen, build: build, log: log, doors: d,
		registry: registry, ready: ops.NewReadiness(0), parts: newParts(log),
		progress: func(line string) { log.Info("starting", slog.String("progress", line)) },
		store:    newLate[*model.Store](), broker: newLate[*queue.Broker](),
	}
	if s.states, err = model.NewClientStates(cfg.SecretKeys.Reveal()); err != nil {
		return nil, fmt.Errorf("using the secret keys: %w", err)
	}
	if s.sealer, err = model.NewSealer(cfg.SecretKeys.Reveal()); err != nil {
		return nil, fmt.Errorf("using the secret keys: %w", err)
	}
	if chosen.have(roleWorkers, roleRenewer, roleConsole) {
		if s.graph, err = newGraph(cfg, build, &signIns{s.store, s.sealer}, registry, log); err != nil {
			return nil, misused("the application's credential cannot be used: %s", err)
		}
	}
	if chosen.have(roleWorkers) {
		if s.post, err = newPost(cfg); err != nil {
			return nil, misused("PAIRSYNC_SMTP_URL and PAIRSYNC_MAIL_FROM cannot be used: %s", err)
		}
	}
	return s, nil
}

// newGraph makes the client of Graph. kept are people's own sign-ins; nil when nothing is done in their name.
func newGraph(cfg config.Config, build ops.Build, kept graph.Delegated, reg prometheus.Registerer, log *slog.Logger) (*graph.Client, error) {
	return graph.New(graph.Config{
		Delegated:             kept,
		URL:                   cfg.GraphURL.String(),
		AuthorityURL:          cfg.AuthorityURL.String(),
		ClientID:              cfg.ClientID,
		ClientSecret:          cfg.ClientSecret.Reveal(),
		ClientCertificateFile: cfg.ClientCertificateFile,
		FederatedTokenFile:    cfg.FederatedTokenFile,
		Concurrency:           cfg.GraphConcurrency,
		MailboxConcurrency:    cfg.MailboxConcurrency,
		UserAgent:             "pairsync/" + build.Version,
	}, reg, log)
}

// start starts the parts in the order in which they depend on each other. When it fails, stop ends those that run already.
func (s *service) start(ctx context.Context) error {
	stopTracing, err := ops.StartTracing(ctx, s.cfg.OTLPEndpoint, s.build, s.log)
	if err != nil {
		s.doors.close()
		return err
	}
	s.parts.onStop("tracing", shortGrace, stopTracing)

	// A door is closed by its server; this is for those whose server was never started.
	s.parts.onStop("doors", shortGrace, func(context.Context) error { s.doors.close(); return nil })

	s.ready.Require("process", func(context.Context) error { return errors.New("is starting") })
	s.doors.ops.server.Handler = ops.NewHandler(s.registry, s.ready, s.log)
	s.parts.start(ctx, "ops server", shortGrace, s.doors.ops.run(shortGrace))

	if s.roles.usesNATS() {
		if err := s.startNATS(ctx); err != nil {
			return err
		}
	}
	if s.roles.usesDatabase() {
		if err := s.startDatabase(ctx); err != nil {
			return err
		}
	}
	if err := s.watchState(ctx); err != nil {
		return err
	}
	if s.roles.have(roleWorkers) {
		s.startWorkers(ctx)
	}
	if s.roles.have(roleRenewer) {
		s.startRenewer(ctx)
	}
	if s.roles.have(roleConsole) {
		s.startConsole(ctx)
	}
	if s.roles.have(roleWebhook) {
		if err := s.startWebhook(ctx); err != nil {
			return err
		}
	}
	s.ready.Require("process", func(context.Context) error { return nil })
	// Started last, so ended first: whoever asks learns that this process is going before its doors close.
	s.parts.onStop("readiness", shortGrace, func(context.Context) error {
		s.ready.Require("process", func(context.Context) error { return errors.New("is draining") })
		return nil
	})
	return nil
}

// stop ends all parts in reverse order.
func (s *service) stop(ctx context.Context) error { return s.parts.stop(ctx, totalGrace) }

// role starts a part that stands for a role, and makes the role's readiness known: it is ready once run has called begun.
func (s *service) role(ctx context.Context, name role, grace time.Duration, run func(ctx context.Context, begun func()) error) {
	s.ready.Require(string(name), func(context.Context) error { return errors.New("is waiting for what it needs") })
	s.parts.start(ctx, string(name), grace, func(ctx context.Context) error {
		return run(ctx, func() { s.ready.Require(string(name), func(context.Context) error { return nil }) })
	})
}
