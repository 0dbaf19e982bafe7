package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/embedded"
)

// TestServeBringsAMoveInOutlookToTheSession is the whole way with embedded parts: link, move, kill -9, move, start again,
// every move once in the history, SIGTERM, status 0.
func TestServeBringsAMoveInOutlookToTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve")
	s.ready(t)
	tenant, session := s.link(t)

	moveTo := func(by time.Duration) time.Time {
		t.Helper()
		if err := s.outlook.move(session.EventID, by); err != nil {
			t.Fatal(err)
		}
		seen, err := s.outlook.sim.Event(session.EventID)
		if err != nil {
			t.Fatal(err)
		}
		return seen.Start
	}
	s.follows(t, tenant, moveTo(time.Hour))
	s.hasContractMetrics(t)

	p.kill(t)
	moved := moveTo(time.Hour) // While nobody listens.
	p = start(t, s.env, "serve")
	s.ready(t)
	s.follows(t, tenant, moved)
	s.follows(t, tenant, moveTo(time.Hour))

	var history struct {
		Items []apiChange `json:"items"`
	}
	if err := s.api.do(t.Context(), http.MethodGet, tenant+"/sessions/s-1/changes", nil, &history); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, change := range history.Items {
		kinds = append(kinds, change.Kind)
	}
	if diff := cmp.Diff([]string{"booked", "rescheduled", "rescheduled", "rescheduled"}, kinds); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
	leftovers(t, s.env["PAIRSYNC_DATA_DIR"])
	for _, secret := range []string{"swordfish", "the-clients-secret", s.env["PAIRSYNC_SECRET_KEYS"], "@contoso.example"} {
		if strings.Contains(p.output(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
}

// TestTheDoorWaitsForNATS starts the webhook role with nothing else there: it shakes hands, and answers 503 to
// notifications, until NATS comes, and when NATS goes again.
func TestTheDoorWaitsForNATS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	addr := freeAddr(t)
	s.env["PAIRSYNC_NATS_URL"] = "nats://" + addr
	delete(s.env, "PAIRSYNC_CLIENT_ID")
	delete(s.env, "PAIRSYNC_CLIENT_SECRET")
	p := start(t, s.env, "serve", "--roles", "webhook")
	within(t, "the process to say what is missing", func(ctx context.Context) (bool, error) {
		names, err := s.missing(ctx, t)
		return slices.Equal(names, []string{"nats", "webhook"}), err
	})
	door := "http://" + s.webhook + "/graph/notifications"
	status, body, err := post(t, door+"?validationToken=hello%20there", "")
	if status != http.StatusOK || body != "hello there" || err != nil {
		t.Errorf("the handshake got %d %q, %v", status, body, err)
	}
	keys, err := clientStates(s.env["PAIRSYNC_SECRET_KEYS"])
	if err != nil {
		t.Fatal(err)
	}
	const mailbox = "8f0b7c1e-4a52-4f0e-9b1d-3c2a1b0c9d8e"
	state, err := keys.Sign(organisations()[0].tenant, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	item := `{"value":[{"subscriptionId":"6f1c1f50-9b4b-4f55-9d1c-6d3a1b1c0001","changeType":"updated","clientState":"` + state +
		`","resource":"Users/` + mailbox + `/Events/y","tenantId":"` + organisations()[0].tenant +
		`","resourceData":{"@odata.type":"#Microsoft.Graph.Event","@odata.id":"Users/` + mailbox + `/Events/y","@odata.etag":"W/\"k\"","id":"y"}}]}`
	if status, _, err := post(t, door, item); status != http.StatusServiceUnavailable || err != nil {
		t.Errorf("a notification without NATS got %d, %v", status, err)
	}

	server, err := embedded.StartNATS(t.Context(), embedded.NATSConfig{Dir: t.TempDir(), Listen: addr})
	if err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	if status, _, err := post(t, door, item); status != http.StatusAccepted || err != nil {
		t.Errorf("a notification with NATS got %d, %v", status, err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	within(t, "the process to miss NATS", func(ctx context.Context) (bool, error) {
		names, err := s.missing(ctx, t)
		return slices.Equal(names, []string{"nats"}), err
	})
	if status, _, err := post(t, door, strings.Replace(item, "/y\"", "/z\"", 2)); status != http.StatusServiceUnavailable || err != nil {
		t.Errorf("a notification when NATS has gone got %d, %v", status, err)
	}
	if status := p.ends(t, os.Interrupt); status != 0 {
		t.Errorf("Ctrl-C ended it with status %d", status)
	}
}

// TestWorkersWaitForTheDatabase starts all roles without PostgreSQL; the console asks to come back until it is there, and
// when it goes again.
func TestWorkersWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database := embedded.PostgresConfig{Dir: dataDir(t), Port: portOf(t, freeAddr(t))}
	// Its password is made at its first start; that one is only for getting to know the URL.
	server, err := embedded.StartPostgres(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	s.env["PAIRSYNC_DATABASE_URL"] = server.URL()
	p := start(t, s.env, "serve")
	within(t, "the process to say what is missing", func(ctx context.Context) (bool, error) {
		names, err := s.missing(ctx, t)
		return slices.Equal(names, []string{"console", "database", "renewer", "workers"}), err
	})
	if status, _, err := ask(t.Context(), t, s.api.base+"/changes"); status != http.StatusServiceUnavailable || err != nil {
		t.Errorf("the API answers %d, %v", status, err)
	}
	p.says(t, "part not available")

	if server, err = embedded.StartPostgres(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	if err := s.api.do(t.Context(), http.MethodGet, "/changes", nil, nil); err != nil {
		t.Error(err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	within(t, "the process to miss its database", func(ctx context.Context) (bool, error) {
		names, err := s.missing(ctx, t)
		return slices.Equal(names, []string{"database"}), err
	})
	if status, _, err := post(t, "http://"+s.webhook+"/graph/notifications?validationToken=x", ""); status != http.StatusOK || err != nil {
		t.Errorf("the door answers %d without a database, %v", status, err)
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
	if strings.Contains(p.output(), passwordOf(t, s.env["PAIRSYNC_DATABASE_URL"])) {
		t.Error("the database's password stands in the log")
	}
}

// TestTheSchemaIsLeftToMigrate has serve wait for a schema that it must not touch, until migrate has made it.
func TestTheSchemaIsLeftToMigrate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["PAIRSYNC_MIGRATE"] = "false"
	p := start(t, s.env, "serve", "--roles", "console")
	within(t, "the process to say that the schema is behind", func(ctx context.Context) (bool, error) {
		_, body, err := ask(ctx, t, "http://"+s.ops+"/readyz")
		return strings.Contains(body, "the schema is behind this version of pairsync; run pairsync migrate"), err
	})
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
	for _, want := range []string{"the schema is up to date now", "the schema is up to date already"} {
		m := start(t, s.env, "migrate")
		<-m.done
		if m.err != nil || !strings.Contains(m.output(), want) {
			t.Errorf("migrate said %q, %v; want %s", m.output(), m.err, want)
		}
	}
	p = start(t, s.env, "serve", "--roles", "console")
	s.ready(t)
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}

// TestADirectoryIsUsedOnce starts a second process on the data of the first.
func TestADirectoryIsUsedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve", "--roles", "webhook")
	s.ready(t)
	second := start(t, map[string]string{"PAIRSYNC_DATA_DIR": s.env["PAIRSYNC_DATA_DIR"]}, "deadletters", "list")
	<-second.done
	if second.err == nil || !strings.Contains(second.output(), "another pairsync is using the NATS data") {
		t.Errorf("the second said %q, %v", second.output(), second.err)
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}

// TestASecondSignalEndsAtOnce keeps a request open that draining waits for, and does not wait with it.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve", "--roles", "webhook")
	s.ready(t)
	slow, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.webhook)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := slow.Write([]byte("POST /graph/notifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}
	// The request is in hand once another one, sent later, was answered.
	if _, _, err := post(t, "http://"+s.webhook+"/graph/notifications?validationToken=x", ""); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for ended := false; !ended; {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // Fails once it has ended.
		select {
		case <-p.done:
			ended = true
		case <-again.C:
		}
	}
	failed, ok := errors.AsType[*exec.ExitError](p.err)
	if !ok || !failed.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("the second signal was not obeyed: %v", p.err)
	}
	if !strings.Contains(p.output(), "draining") || strings.Contains(p.output(), "stopped") {
		t.Errorf("it did not begin to drain, or finished: %s", p.output())
	}
}

// TestCtrlCWhileStarting ends a demo that is still making its database.
func TestCtrlCWhileStarting(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"PAIRSYNC_DATA_DIR":     dataDir(t),
		"PAIRSYNC_WEBHOOK_ADDR": freeAddr(t), "PAIRSYNC_CONSOLE_ADDR": freeAddr(t), "PAIRSYNC_OPS_ADDR": freeAddr(t),
	}
	for _, stage := range []string{"· preparing a new PostgreSQL", "· starting PostgreSQL", "· waiting until all roles are ready", "· booking"} {
		p := start(t, env, "demo", "--no-play")
		p.says(t, stage)
		if status := p.ends(t, os.Interrupt); status != 0 {
			t.Errorf("Ctrl-C while %q ended it with status %d", stage, status)
		}
		leftovers(t, env["PAIRSYNC_DATA_DIR"])
	}
}
