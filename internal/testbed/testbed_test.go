package testbed_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for range 2 {
		conn, err := pgx.Connect(ctx, testbed.DatabaseURL(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		if _, err := conn.Exec(ctx, "CREATE TABLE only_here (n int)"); err != nil {
			t.Fatalf("the database isn't fresh: %v", err)
		}
	}
}

func TestServerComesBackWithItsStreams(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testbed.NATSServer(t)
	nc := s.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s", nil); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	testbed.Eventually(t, "the connection to break", func(context.Context) bool { return !nc.IsConnected() })
	s.Start()
	testbed.Eventually(t, "the connection to come back", func(context.Context) bool { return nc.IsConnected() })
	info, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := info.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("%d messages are left of 1", got)
	}
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	for range 2 {
		js, err := jetstream.New(testbed.NATS(t))
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S"})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().State.LastSeq; got != 0 {
			t.Errorf("the stream has seen %d messages", got)
		}
		if _, err := js.Publish(t.Context(), "S", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunWaits(t *testing.T) {
	t.Parallel()
	var ended atomic.Bool
	begun := make(chan struct{}, 1)
	stop := testbed.Run(t, "the loop", func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		ended.Store(true)
		return nil
	})
	testbed.Receive(t, "the loop to begin", begun)
	stop()
	if !ended.Load() {
		t.Error("it didn't wait")
	}
	stop()
}

func TestStoreIsMigrated(t *testing.T) {
	t.Parallel()
	if cursor, err := testbed.Store(t).LastCursor(t.Context()); err != nil || cursor != 0 {
		t.Errorf("the last cursor is %d, %v", cursor, err)
	}
}

func TestEmptyDatabase(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testbed.EmptyDatabaseURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	var tables int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables, %v", tables, err)
	}
}
