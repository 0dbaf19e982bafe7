package main

import (
	"context"
	"errors"

	"pairsync/internal/config"
	"pairsync/internal/embedded"
	"pairsync/internal/queue"
	"pairsync/model"
	"pairsync/ops"
)

// database checks the connection and the schema, and returns the organisations that should be connected, if it got to know
// them.
func (d *doctor) database(ctx context.Context, cfg config.Config) (tenants []string, known bool) {
	d.check(ctx, "database", func(ctx context.Context) finding {
		var found finding
		err := withDatabase(ctx, cfg, func(string) {}, func(url string) error {
			found, tenants, known = examine(ctx, url)
			return nil
		})
		switch {
		case err == nil:
			return found
		case errors.Is(err, embedded.ErrInUse):
			return well("local, and in use by a pairsync that runs now")
		case cfg.DatabaseURL.Empty():
			return unwell(err, "install PostgreSQL, or set PAIRSYNC_DATABASE_URL")
		default:
			return unwell(err, "check PAIRSYNC_DATABASE_URL")
		}
	})
	return tenants, known
}

// examine looks into a database that should be there.
func examine(ctx context.Context, url string) (found finding, tenants []string, known bool) {
	pending, err := model.SchemaPending(ctx, url)
	if err != nil {
		return unwell(err, "check PAIRSYNC_DATABASE_URL, and that the server runs and lets this user in"), nil, false
	}
	if pending {
		return unwell(errors.New("the schema is behind this version of pairsync"), "run pairsync migrate"), nil, false
	}
	store, err := model.Open(ctx, model.Config{URL: url})
	if err != nil {
		return unwell(err, "check PAIRSYNC_DATABASE_URL"), nil, false
	}
	defer store.Close()
	all, err := store.Tenants(ctx)
	if err != nil {
		return unwell(err, "check the rights of the database user"), nil, false
	}
	for _, t := range all {
		if t.Status != model.TenantDisconnected {
			tenants = append(tenants, t.ID)
		}
	}
	return well("reachable, schema up to date, %d organisations", len(all)), tenants, true
}

// nats checks the connection and the streams.
func (d *doctor) nats(ctx context.Context, cfg config.Config) {
	d.check(ctx, "NATS", func(ctx context.Context) finding {
		log := ops.NewLogger(d.inv.stderr, cfg.LogLevel, "text")
		connection := queue.ConnConfig{URL: cfg.NATSURL.Reveal(), CredsFile: cfg.NATSCreds, Name: "pairsync doctor", Log: log}
		if cfg.NATSURL.Empty() {
			server, err := startEmbeddedNATS(ctx, cfg, log)
			if errors.Is(err, embedded.ErrInUse) {
				return well("in process, and in use by a pairsync that runs now")
			}
			if err != nil {
				return unwell(err, "check PAIRSYNC_DATA_DIR, or set PAIRSYNC_NATS_URL")
			}
			// The data is as it was, whatever this says.
			defer func() { _ = server.Stop() }()
			connection.InProcess = server.InProcess()
		}
		nc, err := queue.Connect(ctx, connection)
		if err != nil {
			return unwell(err, "check PAIRSYNC_NATS_URL and PAIRSYNC_NATS_CREDS, and that the server runs")
		}
		defer nc.Close()
		broker, err := queue.Open(ctx, nc, queue.Config{Replicas: cfg.NATSReplicas})
		if err != nil {
			return unwell(err, "JetStream must be on, and the streams as pairsync declares them")
		}
		dead, err := broker.DeadLetterCount(ctx)
		switch {
		case err != nil:
			return unwell(err, "JetStream must be on, and the streams as pairsync declares them")
		case dead > 0:
			return well("streams as declared; %d dead letters wait: pairsync deadletters list", dead)
		case cfg.NATSURL.Empty():
			return well("in process, streams as declared, every message synced")
		case cfg.NATSReplicas < 3:
			return well("streams as declared; ask the servers for sync_interval: always, or three replicas, so that what was confirmed survives a power cut")
		default:
			return well("streams as declared, %d replicas", cfg.NATSReplicas)
		}
	})
}
