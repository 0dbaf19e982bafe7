package testbed

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"pairsync/internal/embedded"
)

// NATS returns a connection to a JetStream server of the test's own; both end with the test. Its files are not synced,
// which no test can see.
func NATS(tb testing.TB) *nats.Conn {
	tb.Helper()
	s := startNATS(tb, "", filepath.Join(tb.TempDir(), "nats"))
	nc, err := nats.Connect("", nats.InProcessServer(s.InProcess()))
	if err != nil {
		tb.Fatalf("testbed: %v", err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// Server is a JetStream server that a test can take away and bring back, on the same port and with the same streams.
type Server struct {
	tb   testing.TB
	dir  string
	addr string
	nats *embedded.NATS
}

// NATSServer starts a server of the test's own that listens on a port. It ends with the test.
func NATSServer(tb testing.TB) *Server {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("testbed: %v", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		tb.Fatalf("testbed: %v", err)
	}
	s := &Server{tb: tb, dir: filepath.Join(tb.TempDir(), "nats"), addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.Start()
	return s
}

// URL is where clients connect, running or not.
func (s *Server) URL() string { return "nats://" + s.addr }

// Start brings the server back after Stop.
func (s *Server) Start() {
	s.tb.Helper()
	s.nats = startNATS(s.tb, s.addr, s.dir)
}

// Stop takes the server away. Its clients see a broken connection.
func (s *Server) Stop() {
	s.tb.Helper()
	if err := s.nats.Stop(); err != nil {
		s.tb.Fatalf("testbed: stopping NATS: %v", err)
	}
}

// Connect returns a connection that comes back by itself within milliseconds of the server; it ends with the test.
func (s *Server) Connect() *nats.Conn {
	s.tb.Helper()
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // The client would print what a break looks like.
	if err != nil {
		s.tb.Fatalf("testbed: %v", err)
	}
	s.tb.Cleanup(nc.Close)
	return nc
}

func startNATS(tb testing.TB, listen, dir string) *embedded.NATS {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	n, err := embedded.StartNATS(ctx, embedded.NATSConfig{Dir: dir, Listen: listen, SyncInterval: time.Minute})
	if err != nil {
		tb.Fatalf("testbed: %v", err)
	}
	tb.Cleanup(func() {
		if err := n.Stop(); err != nil {
			tb.Errorf("testbed: stopping NATS: %v", err)
		}
	})
	return n
}
