package embedded_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"pairsync/internal/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, n *embedded.NATS) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(n.InProcess()))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func stop(t *testing.T, n *embedded.NATS) {
	t.Helper()
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
}

func TestNATSKeepsItsStreams(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	n, err := embedded.StartNATS(ctx, embedded.NATSConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if n.URL() != "" {
		t.Errorf("it listens on %q and should listen on nothing", n.URL())
	}
	nc, js := connect(t, n)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s.a", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatalf("a second stop: %v", err)
	}

	if n, err = embedded.StartNATS(ctx, embedded.NATSConfig{Dir: dir, Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	tcp, err := nats.Connect(n.URL())
	if err != nil {
		t.Fatalf("connecting to %q: %v", n.URL(), err)
	}
	defer tcp.Close()
	if js, err = jetstream.New(tcp); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(ctx, 1)
	if err != nil || string(m.Data) != "kept" {
		t.Fatalf("message 1 is %v, %v", m, err)
	}
}

func TestNATSRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	n, err := embedded.StartNATS(ctx, embedded.NATSConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	_, err = embedded.StartNATS(ctx, embedded.NATSConfig{Dir: dir})
	if !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("the second start gave %v", err)
	}
}

func TestNATSSaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		cfg  embedded.NATSConfig
		want string
	}{
		"no directory": {embedded.NATSConfig{}, "no data directory"},
		"bad address":  {embedded.NATSConfig{Dir: t.TempDir(), Listen: "nowhere"}, "listen address"},
		"bad port":     {embedded.NATSConfig{Dir: t.TempDir(), Listen: "127.0.0.1:http"}, "must be a number"},
		"port taken":   {embedded.NATSConfig{Dir: t.TempDir(), Listen: taken.Addr().String()}, "address already in use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			n, err := embedded.StartNATS(ctx, c.cfg)
			if err == nil {
				_ = n.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}
