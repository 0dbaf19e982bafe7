package console_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/console"
	"pairsync/internal/testbed"
)

// execute runs SQL beside the store.
func execute(t *testing.T, database, sql string) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutDatabase(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	a.store.Close()
	for _, path := range []string{
		tenantPath(adaTenant), participantPath(adaTenant, "p-1"), tenantPath(adaTenant) + "/sessions", sessionPath(adaTenant, "s-1"),
		sessionPath(adaTenant, "s-1") + "/changes", "/v1/changes", "/v1/changes/stream", "/v1/changes?tenant=" + adaTenant,
	} {
		if res := a.get(path).want(t, 503); res.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	a.put(tenantPath(adaTenant), tenantBody).want(t, 503)
	a.put(participantPath(adaTenant, "p-1"), `{"email":"a@contoso.example"}`).want(t, 503)
	a.put(sessionPath(adaTenant, "s-1"), sessionBody("event-1", 9)).want(t, 503)
	// What needs no database is still said.
	a.put(tenantPath(adaTenant), `{}`).want(t, 422)
	a.request("GET", "/v1/changes", "", "").want(t, 401)
	if logged := a.logs.String(); strings.Count(logged, "level=ERROR") != 11 || strings.Contains(logged, adaTenant) {
		t.Errorf("eleven requests failed, and their log is:\n%s", logged)
	}
}

// TestOwnFault breaks a row, which the caller can't have done and can't mend.
func TestOwnFault(t *testing.T) {
	t.Parallel()
	database := testbed.DatabaseURL(t)
	a := startAPIOn(t, database)
	a.people(adaTenant, "p-1", "p-2")
	a.put(sessionPath(adaTenant, "s-1"), sessionBody("event-1", 9)).want(t, 201)
	execute(t, database, `UPDATE sessions SET attendees = '"broken"'`)
	res := a.request("GET", sessionPath(adaTenant, "s-1"), allToken, "", "X-Request-Id", "find-me").want(t, 500)
	if p := decode[problem](t, res); strings.Contains(p.Detail, "broken") || strings.Contains(p.Detail, "json") {
		t.Errorf("the caller is told %q", p.Detail)
	}
	if logged := a.logs.String(); !strings.Contains(logged, "find-me") || !strings.Contains(logged, "unmarshal") || strings.Contains(logged, allToken) {
		t.Errorf("the log is:\n%s", logged)
	}
}

// TestSlowBody announces a body and never sends it.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) { cfg.RequestTimeout = 200 * time.Millisecond })
	a.people(adaTenant)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", tenantPath(adaTenant), allToken); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 400") {
		t.Errorf("the answer is %q, %v", buf[:n], err)
	}
	// A connection that is kept gets its time anew with every request.
	for range 3 {
		a.get(tenantPath(adaTenant)).want(t, 200)
		<-time.After(100 * time.Millisecond)
	}
}

// TestStreamOutlivesTheRequestTimeout waits for longer than any other request may take.
func TestStreamOutlivesTheRequestTimeout(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) {
		cfg.RequestTimeout, cfg.WriteTimeout = 200*time.Millisecond, 100*time.Millisecond
		cfg.Heartbeat = 50 * time.Millisecond
	})
	a.people(adaTenant, "p-1", "p-2")
	s := a.open(allToken, "", "")
	began := time.Now()
	for time.Since(began) < time.Second {
		if _, err := s.lines.ReadString('\n'); err != nil {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
	}
	a.link(adaTenant, "late")
	if got := s.take(1)[0].change.Session; got != "late" {
		t.Errorf("%q comes", got)
	}
}

func TestAbandonedRequestsAreNobodysFault(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	for range 20 {
		s := a.open(allToken, "?after=0", "")
		s.close()
	}
	testbed.Eventually(t, "all streams to be closed", func(context.Context) bool {
		return a.metric("pairsync_api_streams", "") == 0
	})
	if logged := a.logs.String(); strings.Contains(logged, "level=ERROR") {
		t.Errorf("the log is:\n%s", logged)
	}
}

// TestCallerLeaves has callers who leave while the database keeps their request waiting.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	database := testbed.DatabaseURL(t)
	a := startAPIOn(t, database)
	a.people(adaTenant)
	pool, err := pgxpool.New(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE tenants"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server.URL+tenantPath(adaTenant), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+allToken)
	if res, err := a.server.Client().Do(req); err == nil {
		_ = res.Body.Close()
		t.Errorf("the locked table answers %d", res.StatusCode)
	}
	testbed.Eventually(t, "the request to be counted", func(context.Context) bool {
		return a.metric("pairsync_api_requests_total", "499") == 1
	})
	if logged := a.logs.String(); strings.Contains(logged, "level=ERROR") {
		t.Errorf("the log is:\n%s", logged)
	}
}
