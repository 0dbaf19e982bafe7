package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request and returns the status and the body.
func ask(ctx context.Context, t *testing.T, url string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func TestServerFinishesRequestsInHand(t *testing.T) {
	t.Parallel()
	s, err := listen(t.Context(), "test", "PAIRSYNC_TEST_ADDR", "127.0.0.1:0", &http.Server{ReadHeaderTimeout: time.Second}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(10 * time.Second)(ctx) }()

	type answer struct {
		body string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		_, body, err := ask(t.Context(), t, "http://"+s.addr())
		answered <- answer{body, err}
	}()
	<-entered
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("ended with a request in hand: %v", err)
	default:
	}
	close(release)
	if a := <-answered; a.err != nil || a.body != "done" {
		t.Errorf("the request in hand got %q, %v", a.body, a.err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, _, err := ask(t.Context(), t, "http://"+s.addr()); err == nil {
		t.Error("it still takes connections")
	}
}

func TestServerCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s, err := listen(t.Context(), "test", "PAIRSYNC_TEST_ADDR", "127.0.0.1:0", &http.Server{ReadHeaderTimeout: time.Second}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	s.server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(10 * time.Millisecond)(ctx) }()
	cut := make(chan error, 1)
	go func() {
		_, _, err := ask(t.Context(), t, "http://"+s.addr())
		cut <- err
	}()
	<-entered
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-cut; err == nil {
		t.Error("the endless request was answered")
	}
}

func TestATakenAddressIsNamed(t *testing.T) {
	t.Parallel()
	first, err := listen(t.Context(), "webhook", "PAIRSYNC_WEBHOOK_ADDR", "127.0.0.1:0", consoleServer(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	_, err = listen(t.Context(), "console", "PAIRSYNC_CONSOLE_ADDR", first.addr(), consoleServer(), quiet())
	if err == nil || !strings.Contains(err.Error(), "PAIRSYNC_CONSOLE_ADDR") || !strings.Contains(err.Error(), first.addr()) {
		t.Errorf("got %v", err)
	}
}

func TestGateAsksToComeBack(t *testing.T) {
	t.Parallel()
	s, err := listen(t.Context(), "test", "PAIRSYNC_TEST_ADDR", "127.0.0.1:0", consoleServer(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	g := newGate()
	s.server.Handler = g
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(time.Second)(ctx) }()
	status, body, err := ask(t.Context(), t, "http://"+s.addr()+"/v1/changes")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "waiting for its database") || err != nil {
		t.Errorf("closed: %d %s %v", status, body, err)
	}
	g.open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	if status, _, err := ask(t.Context(), t, "http://"+s.addr()); status != http.StatusTeapot || err != nil {
		t.Errorf("open: %d %v", status, err)
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
