package model

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// errLockLost is the cause with which fn's context ends when the lock's connection breaks.
var errLockLost = errors.New("lock lost")

// WithLock runs fn while it holds the named lock, which one process of all that share the database holds at a time. When
// somebody else has it, WithLock returns at once with ran false and no error. The lock lives on a connection of its own, which
// must not go through a pooler that shares connections between transactions. When it breaks, the lock is free for others, and
// fn's context ends.
func (s *Store) WithLock(ctx context.Context, name string, fn func(ctx context.Context) error) (ran bool, err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	defer disconnect(ctx, conn)
	held, err := s.q.TryLock(ctx, conn, name)
	if err != nil {
		return false, fmt.Errorf("taking the lock %s: %w", name, err)
	}
	if !held {
		return false, nil
	}
	return true, underLock(ctx, conn, fn)
}

// underLock runs fn until it returns, watching the connection meanwhile.
func underLock(ctx context.Context, conn *pgx.Conn, fn func(ctx context.Context) error) error {
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	watching, stop := context.WithCancel(ctx)
	lost := make(chan error, 1)
	go func() {
		err := watch(watching, conn, func(string) {})
		if err != nil {
			err = fmt.Errorf("%w: %w", errLockLost, err)
			lose(err)
		}
		lost <- err
	}()
	err := fn(held)
	stop()
	return errors.Join(err, <-lost)
}
