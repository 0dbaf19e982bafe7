package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsStartTimeout bounds how long a JetStream server may take to recover its streams.
const natsStartTimeout = time.Minute

// NATSConfig says how the in-process JetStream server runs.
type NATSConfig struct {
	// Dir is where it keeps its streams; it is made when absent. Required.
	Dir string
	// Name is the server's name in logs and connection details. Empty: "pairsync".
	Name string
	// Listen is the TCP address, host:port, on which others may connect; port 0 takes a free one. Empty: it listens on
	// nothing, and only this process reaches it.
	Listen string
	// SyncInterval is for how long an acknowledged message may be missing on the disk. Zero: every message is synced
	// before it is acknowledged, which is what "durable" means here.
	SyncInterval time.Duration
	// Log receives the server's warnings and errors. Nil: they are dropped.
	Log *slog.Logger
}

// NATS is a running in-process server.
type NATS struct {
	server *server.Server
	lock   *os.File
	url    string
	stop   sync.Once
}

// StartNATS starts a JetStream server in this process and returns once it takes connections. ctx bounds only the start.
// It fails with ErrInUse when another process uses the directory.
func StartNATS(ctx context.Context, cfg NATSConfig) (*NATS, error) {
	if cfg.Dir == "" {
		return nil, errors.New("starting NATS: no data directory given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	s, url, err := runNATS(ctx, cfg, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting NATS: %w", err), lock.Close())
	}
	return &NATS{server: s, lock: lock, url: url}, nil
}

func runNATS(ctx context.Context, cfg NATSConfig, dir string) (*server.Server, string, error) {
	opts := &server.Options{
		ServerName:   cmp.Or(cfg.Name, "pairsync"),
		DontListen:   cfg.Listen == "",
		JetStream:    true,
		StoreDir:     dir,
		SyncAlways:   cfg.SyncInterval == 0,
		SyncInterval: cfg.SyncInterval,
		NoSigs:       true,
	}
	if cfg.Listen != "" {
		host, port, err := splitAddr(cfg.Listen)
		if err != nil {
			return nil, "", err
		}
		opts.Host, opts.Port = host, port
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, "", err
	}
	log := &natsLog{log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if err := waitReady(ctx, s, log); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, "", err
	}
	if cfg.Listen == "" {
		return s, "", nil
	}
	return s, s.ClientURL(), nil
}

// waitReady asks the server in short steps, so that a context that ends is noticed.
func waitReady(ctx context.Context, s *server.Server, log *natsLog) error {
	ctx, cancel := context.WithTimeout(ctx, natsStartTimeout)
	defer cancel()
	for !s.ReadyForConnections(50*time.Millisecond) || !s.JetStreamEnabled() {
		if fatal := log.fatal(); fatal != "" {
			return errors.New(fatal)
		}
		if !s.Running() {
			return errors.New("the server stopped while starting")
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("waiting for it to be ready: %w", err)
		}
	}
	return nil
}

// splitAddr reads host:port in the server's terms, where -1 asks for a free port and 0 means the default one.
func splitAddr(addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("listen address: %w", err)
	}
	if port, err = strconv.Atoi(p); err != nil {
		return "", 0, fmt.Errorf("listen address %q: the port must be a number", addr)
	}
	if port == 0 {
		port = -1
	}
	return host, port, nil
}

// InProcess is what a client of this process connects by: nats.Connect("", nats.InProcessServer(n.InProcess())).
func (n *NATS) InProcess() nats.InProcessConnProvider { return n.server }

// URL is where others connect; empty when the server listens on nothing.
func (n *NATS) URL() string { return n.url }

// Stop ends the server, waits until its files are closed, and lets go of the directory. Only the first call does
// anything.
func (n *NATS) Stop() error {
	var err error
	n.stop.Do(func() {
		n.server.Shutdown()
		n.server.WaitForShutdown()
		err = n.lock.Close()
	})
	return err
}
