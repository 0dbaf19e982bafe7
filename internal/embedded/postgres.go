package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// superuser is the role that owns the cluster, and the one in the URL.
	superuser = "pairsync"
	// postgresStartTimeout leaves room for crash recovery on a slow disk.
	postgresStartTimeout = 2 * time.Minute
)

// PostgresConfig says how the local PostgreSQL runs.
type PostgresConfig struct {
	// Dir is where it keeps its data, its password and its log; it is made when absent. Required. A second start finds
	// the data again.
	Dir string
	// Port is the port on 127.0.0.1. Zero: a free one, another at each start.
	Port int
	// MaxConnections is PostgreSQL's max_connections. Zero: 100.
	MaxConnections int
	// Ephemeral gives up every promise about the disk for speed, and asks nobody on this machine for a password. For tests.
	Ephemeral bool
	// BinDir is the folder of initdb and postgres. Empty: they are looked for on PATH and in the well-known folders, and
	// downloaded when there are none.
	BinDir string
	// CacheDir is where downloaded binaries are kept. Empty: the user's cache folder, or /var/cache/pairsync for root.
	CacheDir string
	// Mirror is the base URL of the repository from which binaries are downloaded. Empty: the library's own.
	Mirror string
	// Progress is told in one line what is going on; it must not block. Nil: nobody is told.
	Progress func(line string)
}

// Postgres is a running local server, a child of this process.
type Postgres struct {
	url   string
	child *child
	lock  *os.File
	quick bool
	stop  sync.Once
	err   error
}

// StartPostgres starts a local PostgreSQL and returns once it takes connections. ctx bounds only the start.
//
// PostgreSQL refuses to run as root, so root hands it to the user "postgres" or else "nobody" (or to whoever owns the
// data already). If that user can't reach Dir, the data goes below /var/lib/pairsync instead (or stays below the folder for
// temporary files), which Progress is told and the file WHERE in Dir says.
//
// It fails with ErrInUse when another process uses the directory, and in words when no binaries can be had, or when the
// data was made by another major version than those that can be had.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	p, err := startPostgres(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	return p, nil
}

func startPostgres(ctx context.Context, cfg PostgresConfig) (p *Postgres, err error) {
	ctx, cancel := context.WithTimeout(ctx, postgresStartTimeout)
	defer cancel()
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Dir == "" {
		return nil, errors.New("no data directory given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	c, err := prepareCluster(ctx, cfg, dir)
	if err != nil {
		return nil, err
	}
	if err := c.clearStale(ctx); err != nil {
		return nil, err
	}
	cfg.Progress("starting PostgreSQL " + c.bin.version)
	ch, port, err := c.start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Postgres{url: c.url(port), child: ch, lock: lock, quick: cfg.Ephemeral}, nil
}

// url is the connection string of the cluster's superuser.
func (c *cluster) url(port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(superuser), Host: "127.0.0.1:" + strconv.Itoa(port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	if c.password != "" {
		u.User = url.UserPassword(superuser, c.password)
	}
	return u.String()
}

// URL is the connection string; it holds the password, so it is a secret.
func (p *Postgres) URL() string { return p.url }

// Done is closed when the server has ended, by Stop or by itself.
func (p *Postgres) Done() <-chan struct{} { return p.child.done }

// Stop ends the server as a planned shutdown, more harshly when it takes longer than fifteen seconds, and lets go of the
// directory. It returns once the process is gone. Only the first call does anything.
func (p *Postgres) Stop() error {
	p.stop.Do(func() {
		steps := []stopStep{{syscall.SIGINT, 15 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}
		if p.quick {
			steps = steps[1:]
		}
		p.err = errors.Join(p.child.stop(steps), p.lock.Close())
	})
	return p.err
}
