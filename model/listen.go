package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// Channels on which the database tells what has just been committed. A notification is a hint to look, with an empty payload;
// it may be lost while a listener is not connected, so whoever listens also looks by the clock.
const (
	// ChannelChanges speaks when changes were added to the feed and the outbox.
	ChannelChanges = "pairsync_changes"
	// ChannelSweep speaks when sessions have become due before their time.
	ChannelSweep = "pairsync_sweep"
	// ChannelCommands speaks when requests have become due.
	ChannelCommands = "pairsync_commands"
	// ChannelCallbacks speaks when callbacks have become due before their time. New ones come with ChannelChanges.
	ChannelCallbacks = "pairsync_callbacks"
	// ChannelMails speaks when there is a letter to send.
	ChannelMails = "pairsync_mails"
	// ChannelTenants speaks when a tenant was written.
	ChannelTenants = "pairsync_tenants"
	// ChannelSubscriptions speaks when subscriptions have become due before their time.
	ChannelSubscriptions = "pairsync_subscriptions"
)

const (
	// connectTimeout bounds making a connection.
	connectTimeout = 10 * time.Second
	// aliveInterval is how often a connection that only waits is asked whether it is alive.
	aliveInterval = 15 * time.Second
	// reconnectMin and reconnectMax bound the wait before connecting again.
	reconnectMin = 100 * time.Millisecond
	reconnectMax = 5 * time.Second
)

// Listen calls fn with the payload of each notification on the channels, on a connection of its own, until ctx ends; then it
// returns nil. It connects again when the connection breaks, and calls fn("") after each connection, because notifications may
// have been lost until then. It returns an error only when the configuration can't work.
func (s *Store) Listen(ctx context.Context, fn func(payload string), channels ...string) error {
	wait := reconnectMin
	for ctx.Err() == nil {
		err := s.listenOnce(ctx, channels, func(payload string) {
			wait = reconnectMin
			fn(payload)
		})
		if err == nil {
			break
		}
		if !sleep(ctx, wait/2+rand.N(wait/2)) {
			break
		}
		wait = min(2*wait, reconnectMax)
	}
	return nil
}

// listenOnce listens on one connection until it breaks or ctx ends; nil in the latter case.
func (s *Store) listenOnce(ctx context.Context, channels []string, fn func(payload string)) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	for _, c := range channels {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{c}.Sanitize()); err != nil {
			return fmt.Errorf("listening: %w", err)
		}
	}
	fn("")
	return watch(ctx, conn, fn)
}

// watch waits on a connection until it breaks, which is the error, or until ctx ends, which is nil.
func watch(ctx context.Context, conn *pgx.Conn, fn func(payload string)) error {
	for ctx.Err() == nil {
		if err := waitOnce(ctx, conn, fn); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// waitOnce waits for one notification, or finds out whether the connection is alive when none comes.
func waitOnce(ctx context.Context, conn *pgx.Conn, fn func(payload string)) error {
	quiet, cancel := context.WithTimeout(ctx, aliveInterval)
	defer cancel()
	n, err := conn.WaitForNotification(quiet)
	switch {
	case err == nil:
		fn(n.Payload)
		return nil
	case !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed():
		return fmt.Errorf("waiting for a notification: %w", err)
	}
	alive, cancelAlive := context.WithTimeout(ctx, connectTimeout)
	defer cancelAlive()
	if err := conn.Ping(alive); err != nil {
		return fmt.Errorf("pinging the database: %w", err)
	}
	return nil
}

// connect makes a connection outside of the pool, for something that holds it long. It is not traced.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg := s.pool.Config().ConnConfig
	cfg.Tracer = nil
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return conn, nil
}

// disconnect says goodbye also when ctx has ended. That it failed interests nobody: the connection is gone.
func disconnect(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// sleep waits, and says false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
