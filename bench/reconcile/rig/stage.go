package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/embedded"
	"pairsync/internal/graph"
	"pairsync/internal/queue"
	"pairsync/model"
	"pairsync/workers"
)

// Tenant is the organisation of all sessions, and mailboxes how many people organise them.
const (
	Tenant    = "11111111-1111-4111-8111-111111111111"
	mailboxes = 400
)

// Config says what a Stage is built of.
type Config struct {
	// Dir is where data is kept while the benchmark runs; empty means a temporary folder.
	Dir string
	// DatabaseURL and NATSURL name servers to use; empty means to start them. What is in the database's schema public is
	// deleted.
	DatabaseURL string
	NATSURL     string
	// Latency is the trivial Graph's.
	Latency time.Duration
}

// Stage is everything around the workers.
type Stage struct {
	Pool   *pgxpool.Pool
	Store  *model.Store
	NATS   *nats.Conn
	Broker *queue.Broker
	Graph  *Graph

	// filled counts the calls of Sessions: hints of different fillings are not each other's duplicates.
	filled int
	stop   []func() error
}

// Build starts what is needed.
func Build(ctx context.Context, cfg Config) (s *Stage, err error) {
	s = &Stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	dir, err := os.MkdirTemp(cfg.Dir, "pairsync-bench-")
	if err != nil {
		return s, err
	}
	s.stop = append(s.stop, func() error { return os.RemoveAll(dir) })
	if s.Graph, err = StartGraph(ctx, cfg.Latency); err != nil {
		return s, err
	}
	s.stop = append(s.stop, func() error { return s.Graph.Stop(context.WithoutCancel(ctx)) })
	if err := s.database(ctx, cfg.DatabaseURL, dir); err != nil {
		return s, err
	}
	return s, s.queue(ctx, cfg.NATSURL, dir)
}

func (s *Stage) database(ctx context.Context, url, dir string) error {
	if url == "" {
		pg, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{Dir: filepath.Join(dir, "postgres")})
		if err != nil {
			return err
		}
		s.stop = append(s.stop, pg.Stop)
		url = pg.URL()
	}
	var err error
	if s.Pool, err = pgxpool.New(ctx, url); err != nil {
		return err
	}
	s.stop = append(s.stop, func() error { s.Pool.Close(); return nil })
	if _, err := s.Pool.Exec(ctx, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"); err != nil {
		return fmt.Errorf("emptying the database: %w", err)
	}
	if err := model.Migrate(ctx, url); err != nil {
		return err
	}
	if s.Store, err = model.Open(ctx, model.Config{URL: url}); err != nil {
		return err
	}
	s.stop = append(s.stop, func() error { s.Store.Close(); return nil })
	return nil
}

func (s *Stage) queue(ctx context.Context, url, dir string) error {
	if url == "" {
		server, err := embedded.StartNATS(ctx, embedded.NATSConfig{
			Dir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0", SyncInterval: 2 * time.Minute,
		})
		if err != nil {
			return err
		}
		s.stop = append(s.stop, server.Stop)
		url = server.URL()
	}
	var err error
	if s.NATS, err = nats.Connect(url, nats.MaxReconnects(-1)); err != nil {
		return err
	}
	s.stop = append(s.stop, func() error { s.NATS.Close(); return nil })
	s.Broker, err = queue.Open(ctx, s.NATS, queue.Config{})
	return err
}

// Stop ends what was started, last first.
func (s *Stage) Stop() error {
	var err error
	for _, stop := range slices.Backward(s.stop) {
		err = errors.Join(err, stop())
	}
	s.stop = nil
	return err
}

// Workers makes pairsync's workers on the stage. Their sweep finds nothing to do.
func (s *Stage) Workers(cfg workers.Config) (*workers.Workers, error) {
	reg := prometheus.NewRegistry()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	client, err := graph.New(graph.Config{
		URL: s.Graph.URL, AuthorityURL: s.Graph.Authority, ClientID: "bench", ClientSecret: "bench",
		Transport: &http.Transport{MaxIdleConnsPerHost: 128},
	}, reg, log)
	if err != nil {
		return nil, err
	}
	return workers.New(cfg, workers.Deps{Store: s.Store, Graph: client, Broker: s.Broker, Log: log, Registerer: reg})
}

// Sessions fills the tables with n sessions of one attendee each, read once and due in a year. Those of an earlier call are
// deleted, and so are their changes.
func (s *Stage) Sessions(ctx context.Context, n int) error {
	const fill = `
TRUNCATE tenants, participants, sessions, requests, changes, outbox, subscriptions;
INSERT INTO tenants (id, name, owner_email, method, status) VALUES ('%[1]s', 'Contoso', 'it@contoso.example', 'domain_wide', 'connected');
INSERT INTO participants (tenant, id, email, mailbox_id, mailbox_status)
SELECT '%[1]s', 'p-' || g, 'p' || g || '@contoso.example', 'mailbox-' || g, 'ok' FROM generate_series(0, %[2]d) g;
INSERT INTO sessions (tenant, id, status, organizer, starts_at, ends_at, time_zone, title, online_meeting, attendees, event_id,
	ical_uid, change_key, last_modified_at, read_at, state, version, verified_at, verify_due_at)
SELECT '%[1]s', 's-' || g, 'scheduled', 'p-' || g %% %[2]d, '2090-01-01 09:00Z', '2090-01-01 09:30Z', 'Europe/Berlin', 'Mentoring', 'none',
	'[{"participant":"p-%[2]d","email":"grace@contoso.example","rsvp":{"response":"none","responded_at":null,"proposed_start":null,"proposed_end":null}}]',
	'event-' || g, 'uid-event-' || g, 'version-1', '2026-01-01Z', '2026-01-01Z', 'in_sync', 1, '2026-01-01Z', now() + interval '1 year'
FROM generate_series(0, %[3]d - 1) g;
ANALYZE;`
	s.filled++
	if _, err := s.Pool.Exec(ctx, fmt.Sprintf(fill, Tenant, mailboxes, n)); err != nil {
		return fmt.Errorf("making sessions: %w", err)
	}
	return nil
}

// Hint is a notification about the nth session's event, received now.
func (s *Stage) Hint(n int) model.Hint {
	return model.Hint{
		Tenant: Tenant, Mailbox: "mailbox-" + strconv.Itoa(n%mailboxes), SubscriptionID: "subscription-" + strconv.Itoa(s.filled),
		ChangeType: model.ChangeUpdated, EventID: "event-" + strconv.Itoa(n), ChangeKey: ChangeKey, ReceivedAt: time.Now(),
	}
}

// Drained waits until no notification is left: none waiting and none in hand.
func (s *Stage) Drained(ctx context.Context) error {
	js, err := jetstream.New(s.NATS)
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		stream, err := js.Stream(ctx, queue.StreamNotifications)
		if err != nil {
			return err
		}
		// A work queue holds a message until it is acknowledged.
		if stream.CachedInfo().State.Msgs == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
