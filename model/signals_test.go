package model_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// listen listens on a channel of the database and returns once the connection is there.
func (b *bed) listen(t *testing.T, channels ...string) <-chan string {
	t.Helper()
	heard := make(chan string, 100)
	testbed.Run(t, "listening", func(ctx context.Context) error {
		return b.Listen(ctx, func(payload string) { heard <- payload }, channels...)
	})
	testbed.Receive(t, "the connection", heard)
	return heard
}

func TestListen(t *testing.T) {
	t.Parallel()
	for channel, act := range map[string]func(*testing.T, *bed){
		model.ChannelChanges:       func(t *testing.T, b *bed) { t.Helper(); b.link(t, linkOf("s")) },
		model.ChannelSweep:         func(t *testing.T, b *bed) { t.Helper(); b.link(t, linkOf("s")) },
		model.ChannelSubscriptions: func(t *testing.T, b *bed) { t.Helper(); b.link(t, linkOf("s")) },
	} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			heard := b.listen(t, channel)
			act(t, b)
			testbed.Receive(t, "the notification", heard)
		})
	}
}

func TestCommitNotifies(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.link(t, linkOf("s"))
	heard := b.listen(t, model.ChannelChanges)
	o := eventOf(s, 1)
	o.StartsAt = tomorrow(8)
	b.commit(t, reading(s, o))
	testbed.Receive(t, "the notification", heard)
	b.commit(t, reading(s, o))
	select {
	case <-heard:
		t.Error("a reading that changed nothing was announced")
	case <-time.After(50 * time.Millisecond):
	}
}

// TestListenConnectsAgain: after a connection was lost the listener looks again, because it may have missed something.
func TestListenConnectsAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	heard := b.listen(t, model.ChannelChanges)
	b.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
	testbed.Receive(t, "the second connection", heard)
	b.link(t, linkOf("s"))
	testbed.Receive(t, "a notification on it", heard)
}

func TestListenWithoutADatabase(t *testing.T) {
	t.Parallel()
	s, err := model.Open(t.Context(), model.Config{URL: "postgres://localhost:1/none?connect_timeout=1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := withTimeout(t, 300*time.Millisecond)
	defer cancel()
	if err := s.Listen(ctx, func(string) { t.Error("called without a connection") }, model.ChannelSweep); err != nil {
		t.Errorf("Listen: %v", err)
	}
}

func TestWithLock(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	errInside := errors.New("inside")
	done := make(chan error, 1)
	go func() {
		ran, err := b.WithLock(t.Context(), "relay", func(context.Context) error {
			close(entered)
			<-leave
			return errInside
		})
		if !ran {
			t.Error("the free lock was not taken")
		}
		done <- err
	}()
	testbed.Receive(t, "the lock", entered)
	ran, err := b.WithLock(t.Context(), "relay", func(context.Context) error { t.Error("two hold the lock"); return nil })
	if ran || err != nil {
		t.Errorf("while it is held: %v, %v", ran, err)
	}
	if ran, err := b.WithLock(t.Context(), "another", func(context.Context) error { return nil }); !ran || err != nil {
		t.Errorf("another lock: %v, %v", ran, err)
	}
	close(leave)
	if err := testbed.Receive(t, "the end", done); !errors.Is(err, errInside) {
		t.Errorf("error %v", err)
	}
	// The server gives it back when it has noticed that the connection was closed.
	testbed.Eventually(t, "the lock to be free again", func(ctx context.Context) bool {
		ran, err := b.WithLock(ctx, "relay", func(context.Context) error { return nil })
		return ran && err == nil
	})
}

// TestLockIsLostWithItsConnection: then somebody else may take it, so whoever worked under it must stop.
func TestLockIsLostWithItsConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ran, err := b.WithLock(t.Context(), "relay", func(ctx context.Context) error {
		b.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND datname = current_database()")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(30 * time.Second):
			t.Error("the work under the lock went on")
			return nil
		}
	})
	if !ran || !errors.Is(err, context.Canceled) {
		t.Errorf("ran %v, %v", ran, err)
	}
}
