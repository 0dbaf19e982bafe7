package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pairsync/internal/probe"
)

// direct uses no proxy, whatever the machine's environment says.
func direct() probe.Prober {
	return probe.Prober{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }, Wait: 10 * time.Second} //nolint:nilnil // That is how no proxy is said.
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serve starts a server and gives its endpoint for notifications.
func serve(t *testing.T, handler http.HandlerFunc) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return parse(t, server.URL+"/graph/notifications")
}

// echo is a good door.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, r.URL.Query().Get("validationToken"))
}

// fails checks the hop at which a way ends, and that the failure can be shown.
func fails(t *testing.T, err error, hop probe.Hop, says string) {
	t.Helper()
	failure, ok := errors.AsType[*probe.HopError](err)
	if !ok || failure.Hop != hop {
		t.Fatalf("got %v (%#v), want a failure at %s", err, failure, hop)
	}
	if !strings.Contains(failure.Error(), says) {
		t.Errorf("the failure is %q, want it to say %q", failure, says)
	}
	if failure.Remedy == "" || probe.Remedy(err) != failure.Remedy || failure.Reason() != "door_"+string(hop) || !slices.Contains(probe.Hops(), hop) {
		t.Errorf("the failure is %+v", failure)
	}
	if strings.Contains(failure.Detail, "validationToken") || strings.Contains(failure.Detail, "\n") {
		t.Errorf("the failure shows %q", failure.Detail)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	if err := direct().Handshake(t.Context(), serve(t, echo)); err != nil {
		t.Errorf("a good door: %v", err)
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, tc := range map[string]struct {
		door http.HandlerFunc
		hop  probe.Hop
		says string
	}{
		"a gateway refuses":     {status(http.StatusForbidden), probe.HopProxy, "403"},
		"a gateway asks who":    {status(http.StatusUnauthorized), probe.HopProxy, "401"},
		"nothing behind it":     {status(http.StatusBadGateway), probe.HopProxy, "can't reach it"},
		"a sign-in page":        {http.RedirectHandler("/login", http.StatusFound).ServeHTTP, probe.HopProxy, "redirects (302)"},
		"another site":          {status(http.StatusNotFound), probe.HopStatus, "404"},
		"no content":            {status(http.StatusNoContent), probe.HopStatus, "204"},
		"says nothing":          {status(http.StatusOK), probe.HopBody, "echo"},
		"the token as it came":  {func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.RawQuery) }, probe.HopBody, "echo"},
		"the token with a line": {func(w http.ResponseWriter, r *http.Request) { echo(w, r); _, _ = io.WriteString(w, "\n") }, probe.HopBody, "echo"},
		"as a page": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, r.URL.Query().Get("validationToken"))
		}, probe.HopBody, "text/plain"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, probe.HopTCP, "breaks the connection off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fails(t, direct().Handshake(t.Context(), serve(t, tc.door)), tc.hop, tc.says)
		})
	}
}

func TestHandshakeKeepsTheQuery(t *testing.T) {
	t.Parallel()
	door := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Query().Get("own") != "1" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		echo(w, r)
	})
	door.RawQuery = "own=1"
	if err := direct().Handshake(t.Context(), door); err != nil {
		t.Error(err)
	}
}

func TestTooSlow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	door := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	p := direct()
	p.Wait = 50 * time.Millisecond
	fails(t, p.Handshake(t.Context(), door), probe.HopTime, "within 0.05 s")

	// The caller's own end is nobody's failure.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := direct().Handshake(ctx, door); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	fails(t, direct().Handshake(t.Context(), parse(t, "http://"+address)), probe.HopTCP, "takes no connection")
	// RFC 6761 keeps this name from ever being found.
	fails(t, direct().Handshake(t.Context(), parse(t, "https://door.invalid")), probe.HopDNS, "door.invalid")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	door := parse(t, server.URL)
	fails(t, direct().Handshake(t.Context(), door), probe.HopTLS, "nobody known has signed it")

	trusting := direct()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	trusting.TLS = &tls.Config{RootCAs: roots}
	if err := trusting.Handshake(t.Context(), door); err != nil {
		t.Errorf("a certificate that is trusted: %v", err)
	}
	trusting.TLS = &tls.Config{RootCAs: roots, ServerName: "another.example"}
	fails(t, trusting.Handshake(t.Context(), door), probe.HopTLS, "not for another.example")
	trusting.TLS = &tls.Config{RootCAs: roots, Time: func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }}
	fails(t, trusting.Handshake(t.Context(), door), probe.HopTLS, "expired")

	plainDoor := serve(t, echo)
	plainDoor.Scheme = "https"
	fails(t, direct().Handshake(t.Context(), plainDoor), probe.HopTLS, "TLS")
}

// TestProxy has a proxy on our own side refuse the way out.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(proxy.Close)
	p := probe.Prober{Proxy: http.ProxyURL(parse(t, proxy.URL))}
	fails(t, p.Handshake(t.Context(), parse(t, "https://door.example")), probe.HopProxy, "Forbidden")
	fails(t, p.Handshake(t.Context(), parse(t, "http://door.example")), probe.HopProxy, "403")
}

func TestReach(t *testing.T) {
	t.Parallel()
	took, err := direct().Reach(t.Context(), serve(t, http.NotFound))
	if err != nil || took <= 0 {
		t.Errorf("%v, %v", took, err)
	}
	_, err = direct().Reach(t.Context(), serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	fails(t, err, probe.HopStatus, "500")
	_, err = direct().Reach(t.Context(), parse(t, "https://door.invalid"))
	fails(t, err, probe.HopDNS, "door.invalid")
}
