package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/sync/errgroup"

	"pairsync/console"
	"pairsync/internal/probe"
	"pairsync/internal/queue"
	"pairsync/model"
	"pairsync/subscriptions"
	"pairsync/webhook"
	"pairsync/workers"
)

// startWorkers waits for NATS and the database, then reconciles, applies, sweeps and relays, and looks after those who are
// served.
func (s *service) startWorkers(ctx context.Context) {
	s.role(ctx, roleWorkers, workGrace, func(ctx context.Context, begun func()) error {
		store, err := s.store.wait(ctx)
		if err != nil {
			return err
		}
		broker, err := s.broker.wait(ctx)
		if err != nil {
			return err
		}
		w, err := workers.New(workers.Config{SweepInterval: s.cfg.SweepInterval}, workers.Deps{
			Store: store, Graph: s.graph, Broker: broker, Log: s.named("workers"), Registerer: s.registry,
		})
		if err != nil {
			return err
		}
		begun()
		all, ctx := errgroup.WithContext(ctx)
		all.Go(func() error { return w.Run(ctx) })
		all.Go(func() error { return s.runSteward(ctx, store) })
		return all.Wait()
	})
}

// startRenewer waits for the database, then keeps the subscriptions alive.
func (s *service) startRenewer(ctx context.Context) {
	s.role(ctx, roleRenewer, workGrace, func(ctx context.Context, begun func()) error {
		store, err := s.store.wait(ctx)
		if err != nil {
			return err
		}
		r, err := subscriptions.New(subscriptions.Config{
			NotificationURL: s.cfg.PublicURL.JoinPath("graph", "notifications").String(),
			LifecycleURL:    s.cfg.PublicURL.JoinPath("graph", "lifecycle").String(),
			Lifetime:        s.cfg.SubscriptionLifetime,
		}, subscriptions.Deps{
			Store: store, Graph: s.graph, ClientStates: s.states, Log: s.named("renewer"), Registerer: s.registry,
		})
		if err != nil {
			return err
		}
		begun()
		return r.Run(ctx)
	})
}

// startConsole answers 503 until the database is there. The feed is started after the server, so it ends first: it ends
// the streams, without which the server could not shut down.
func (s *service) startConsole(ctx context.Context) {
	open := newGate()
	callbacks := map[string]*gate{}
	for _, path := range console.CallbackPaths() {
		callbacks[path] = newGate()
	}
	s.callbacks = callbacks
	s.doors.console.server.Handler = open
	s.parts.start(ctx, "console server", doorGrace, s.doors.console.run(doorGrace))
	s.role(ctx, roleConsole, shortGrace, func(ctx context.Context, begun func()) error {
		store, err := s.store.wait(ctx)
		if err != nil {
			return err
		}
		tokens := make([]console.Token, 0, len(s.cfg.APITokens))
		for _, t := range s.cfg.APITokens {
			tokens = append(tokens, console.Token{Name: t.Name, Tenant: t.Tenant, Secret: t.Token.Reveal()})
		}
		c, err := console.New(console.Config{Tokens: tokens, PublicURL: s.cfg.PublicURL}, console.Deps{
			Store: store, Sealer: s.sealer, Calendars: s.graph, Directory: s.graph, SignIn: s.graph, Door: s.tryDoor,
			Log: s.named("console"), Registerer: s.registry,
		})
		if err != nil {
			return err
		}
		open.open(c)
		for path, h := range c.Callbacks() {
			callbacks[path].open(h)
		}
		begun()
		return c.Run(ctx)
	})
}

// startWebhook opens the door at once: handshakes need nothing, and a POST is answered 503 until JetStream can confirm.
func (s *service) startWebhook(ctx context.Context) error {
	publisher := &latePublisher{newLate[*queue.Publisher]()}
	s.role(ctx, roleWebhook, doorGrace, func(ctx context.Context, begun func()) error {
		broker, err := s.broker.wait(ctx)
		if err != nil {
			return err
		}
		p := broker.NewPublisher(queue.PublisherConfig{Log: s.named("publisher")})
		publisher.late.set(p)
		begun()
		return p.Run(ctx)
	})
	handler, err := webhook.New(webhook.Config{Extra: s.extra()}, webhook.Deps{
		Publisher: publisher, ClientStates: s.states, Log: s.named("webhook"), Registerer: s.registry,
	})
	if err != nil {
		return fmt.Errorf("making the door: %w", err)
	}
	s.doors.webhook.server.Handler = handler
	s.parts.start(ctx, "webhook server", doorGrace, s.doors.webhook.run(doorGrace))
	return nil
}

// extra are the paths of the public server that aren't Graph's: browsers come back there from Microsoft. Without a console in
// this process they are sent on to it.
func (s *service) extra() map[string]http.Handler {
	if s.callbacks == nil {
		return console.RedirectCallbacks(s.cfg.ConsoleURL)
	}
	extra := make(map[string]http.Handler, len(s.callbacks))
	for path, g := range s.callbacks {
		extra[path] = g
	}
	return extra
}

// tryDoor tries the way from outside to our own webhook server, for both kinds of notification.
func (s *service) tryDoor(ctx context.Context) error {
	for _, path := range []string{webhook.NotificationsPath, webhook.LifecyclePath} {
		if err := (probe.Prober{}).Handshake(ctx, s.cfg.PublicURL.JoinPath(path)); err != nil {
			return err
		}
	}
	return nil
}

// latePublisher confirms nothing until the publisher is there.
type latePublisher struct{ late *late[*queue.Publisher] }

// Publish hands the hints on, or says why that can't be done yet.
func (p *latePublisher) Publish(ctx context.Context, hints []model.Hint) ([]model.Confirmation, error) {
	publisher, err := p.late.get()
	if err != nil {
		return make([]model.Confirmation, len(hints)), fmt.Errorf("jetstream %w", err)
	}
	return publisher.Publish(ctx, hints)
}

// named returns a logger that says which part speaks.
func (s *service) named(part string) *slog.Logger { return s.log.With(slog.String("part", part)) }
