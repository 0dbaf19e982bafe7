package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// ConnConfig says how NATS is reached.
type ConnConfig struct {
	// URL is one server or several, comma separated. Required unless InProcess is set.
	URL string
	// CredsFile is the path of a credentials file. Empty: no credentials beyond those in the URL.
	CredsFile string
	// Name is what the server's monitoring calls this client. Empty: "pairsync".
	Name string
	// InProcess reaches a server in this process without a network. Nil: URL is used.
	InProcess nats.InProcessConnProvider
	// Log is told when the connection breaks and comes back. Nil: nobody is told.
	Log *slog.Logger
}

// connectTimeout bounds the try on one server.
const connectTimeout = 5 * time.Second

// Connect reaches NATS or fails; once connected, the connection comes back by itself for as long as the process lives, and
// notices within half a minute when a server is gone without a word.
func Connect(ctx context.Context, cfg ConnConfig) (*nats.Conn, error) {
	log := cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	work := context.WithoutCancel(ctx)
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if err := ctx.Err(); err != nil || timeout <= 0 {
		return nil, fmt.Errorf("connecting to NATS: %w", cmp.Or(err, context.DeadlineExceeded))
	}
	opts := []nats.Option{
		nats.Name(cmp.Or(cfg.Name, "pairsync")),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // A connection that we close ourselves has none.
				log.LogAttrs(work, slog.LevelWarn, "nats connection lost", slog.Any("error", err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.LogAttrs(work, slog.LevelInfo, "nats connection restored") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.LogAttrs(work, slog.LevelWarn, "nats reported an error", slog.Any("error", err))
		}),
	}
	if cfg.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	}
	if cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(cfg.InProcess))
	} else if cfg.URL == "" {
		return nil, errors.New("connecting to NATS: no URL given")
	}
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return nc, nil
}
