package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// httpServer is one listening server of the process.
type httpServer struct {
	name string
	// setting names what says where it listens.
	setting  string
	listener net.Listener
	server   *http.Server
}

// listen opens the address at once, so that one that is taken ends the start in clear words.
func listen(ctx context.Context, name, setting, addr string, server *http.Server, log *slog.Logger) (*httpServer, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: listening on %s for the %s server: %w", setting, addr, name, err)
	}
	// What single connections do wrong is no news.
	server.ErrorLog = slog.NewLogLogger(log.With(slog.String("server", name)).Handler(), slog.LevelDebug)
	return &httpServer{name: name, setting: setting, listener: listener, server: server}, nil
}

// addr returns where it listens in fact; a server that isn't there listens nowhere.
func (s *httpServer) addr() string {
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// url returns the base URL at which this machine reaches it.
func (s *httpServer) url() string {
	host, port, err := net.SplitHostPort(s.addr())
	if ip, ipErr := netip.ParseAddr(host); err != nil || ipErr != nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// close gives the address back when the server was never run.
func (s *httpServer) close() { _ = s.listener.Close() }

// run serves until ctx ends; then it takes no more connections, finishes the requests in hand within grace and cuts what
// is left.
func (s *httpServer) run(grace time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- s.server.Serve(s.listener) }()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := s.server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = s.server.Close()
		}
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}
}
