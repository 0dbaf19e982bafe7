package main

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/webhook"
)

func TestMain(m *testing.M) { testbed.Main(m) }

// TestEveryDoorStoresWhatIsPosted holds all three doors to the same work: a door that stores less would be compared with one
// that stores all.
func TestEveryDoorStoresWhatIsPosted(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"pairsync", "async", "groupcommit"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			nc := testbed.NATS(t)
			if _, err := queue.Open(t.Context(), nc, queue.Config{}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var group errgroup.Group
			handler, err := door(ctx, program, nc, &group)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(nil)
			server.Config = webhook.NewServer("", handler, slog.New(slog.DiscardHandler))
			server.Start()
			l, err := newLoad(4, 3, server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			f, err := l.run(t.Context(), 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			l.close()
			server.Close()
			cancel()
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			stream, err := js.Stream(t.Context(), queue.StreamNotifications)
			if err != nil {
				t.Fatal(err)
			}
			if got := stream.CachedInfo().State.Msgs; got != uint64(f.items) || got == 0 {
				t.Errorf("%d stored, %d answered with 202", got, f.items)
			}
			if f.p50 <= 0 || f.p99 < f.p50 || f.rate() <= 0 {
				t.Errorf("figures %+v", f)
			}
		})
	}
}

func TestDoorKnowsItsPrograms(t *testing.T) {
	t.Parallel()
	if _, err := door(t.Context(), "revolving", nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestMedianRound(t *testing.T) {
	t.Parallel()
	of := func(items int) figures { return figures{items: items, span: time.Second} }
	if got := median([]figures{of(30), of(10), of(20)}).items; got != 20 {
		t.Errorf("median of %d items", got)
	}
}

func TestProcessFigures(t *testing.T) {
	t.Parallel()
	c := exec.CommandContext(t.Context(), "cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skip("no cat here")
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	if resident(c) == 0 {
		t.Skip("no /proc here")
	}
	if got := cpu(c); got < 0 || got > time.Second {
		t.Errorf("cat used %v", got)
	}
}

func TestRowNamesTheCell(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	f := figures{items: 1000, span: time.Second, p50: time.Millisecond, p99: 3 * time.Millisecond, doorCPU: 40 * time.Millisecond, resident: 20 << 20}
	c := cell{always: true, items: 20, reference: "groupcommit"}
	if err := row(&out, c, "pairsync", f, figures{items: 2000, span: time.Second}); err != nil {
		t.Fatal(err)
	}
	if want := "| sync always | 20 | pairsync | 1000 | 1ms | 3ms | 40 + 0 | 20 MB | 0.50 |\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	if c.name() != "always/20" {
		t.Errorf("name %q", c.name())
	}
}
