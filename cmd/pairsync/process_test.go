package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pairsync/internal/config"
	"pairsync/internal/simulator"
	"pairsync/model"
)

// patience is how long a test waits for what should happen soon. It is far more than anything takes.
const patience = 90 * time.Second

// process is a pairsync that runs beside the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu    sync.Mutex
	lines []string
	grown chan struct{}
}

// start runs pairsync with nothing but the given variables, and kills it at the end of the test if it still lives.
func start(t *testing.T, env map[string]string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("pairsync", args...), done: make(chan struct{}), grown: make(chan struct{}, 1)}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TZ=UTC"}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(args, " "), p.output())
		}
	})
	return p
}

func (p *process) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		p.mu.Unlock()
		select {
		case p.grown <- struct{}{}:
		default:
		}
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// output is everything that the process has written so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// says waits until the process has written the text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !strings.Contains(p.output(), text) {
		select {
		case <-p.grown:
		case <-p.done:
			if !strings.Contains(p.output(), text) {
				t.Fatalf("ended (%v) without saying %q", p.err, text)
			}
		case <-timer.C:
			t.Fatalf("did not say %q", text)
		}
	}
}

// ends sends the signal and returns the exit status.
func (p *process) ends(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		t.Fatal("did not end")
	}
	if failed, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return failed.ExitCode()
	}
	return 0
}

// within polls until ask is happy.
func within(t *testing.T, what string, ask func(ctx context.Context) (bool, error)) {
	t.Helper()
	var last error
	err := poll(t.Context(), patience, func(ctx context.Context) (bool, error) {
		yes, err := ask(ctx)
		last = err
		return yes && err == nil, nil
	})
	if err != nil {
		t.Fatalf("waited in vain for %s: %v", what, last)
	}
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// dataDir returns a new folder that PostgreSQL's own user can enter, too.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pairsync-test-") //nolint:usetesting // Nobody but us may enter the test's own.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// site is everything around a serving process in a test: an Outlook, addresses and variables.
type site struct {
	outlook  *outlook
	env      map[string]string
	webhook  string
	ops      string
	api      *apiClient
	sessions []demoSession
}

// newSite starts a simulator and makes the variables of a process with all roles.
func newSite(t *testing.T) *site {
	t.Helper()
	app := simulator.App{ClientID: demoClientID, Secret: "the-clients-secret"}
	sim, err := simulator.New(simulator.Config{Apps: []simulator.App{app}, TimeScale: 60})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s := &site{outlook: &outlook{sim}, webhook: freeAddr(t), ops: freeAddr(t)}
	if s.sessions, err = furnish(s.outlook, time.Now()); err != nil {
		t.Fatal(err)
	}
	console := freeAddr(t)
	s.env = map[string]string{
		"PAIRSYNC_AUTHORITY_URL": server.URL, "PAIRSYNC_GRAPH_URL": server.URL + "/v1.0",
		"PAIRSYNC_CLIENT_ID": app.ClientID, "PAIRSYNC_CLIENT_SECRET": app.Secret,
		"PAIRSYNC_PUBLIC_URL": "http://" + s.webhook, "PAIRSYNC_DATA_DIR": dataDir(t),
		"PAIRSYNC_WEBHOOK_ADDR": s.webhook, "PAIRSYNC_CONSOLE_ADDR": console, "PAIRSYNC_OPS_ADDR": s.ops,
		"PAIRSYNC_SECRET_KEYS": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=", "PAIRSYNC_API_TOKENS": "test:swordfish",
	}
	s.api = newAPIClient("http://"+console+"/v1", "swordfish")
	t.Cleanup(s.api.close)
	return s
}

// missing asks /readyz what is missing; nothing is, when it is ready.
func (s *site) missing(ctx context.Context, t *testing.T) (names []string, err error) {
	t.Helper()
	status, body, err := ask(ctx, t, "http://"+s.ops+"/readyz")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Ready   bool
		Missing []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	if answer.Ready != (status == http.StatusOK) || answer.Ready != (len(answer.Missing) == 0) {
		return nil, fmt.Errorf("answered %d %s", status, body)
	}
	for _, m := range answer.Missing {
		names = append(names, m.Name)
	}
	return names, nil
}

// ready waits until nothing is missing.
func (s *site) ready(t *testing.T) {
	t.Helper()
	within(t, "readiness", func(ctx context.Context) (bool, error) {
		names, err := s.missing(ctx, t)
		return err == nil && len(names) == 0, err
	})
}

// link tells pairsync of the first organisation and its first pair's session, which it calls s-1.
func (s *site) link(t *testing.T) (tenant string, session demoSession) {
	t.Helper()
	org := organisations()[0]
	pair := org.pairs[0]
	tenant, session = "/tenants/"+org.tenant, s.sessions[0]
	seen, err := s.outlook.sim.Event(session.EventID)
	if err != nil {
		t.Fatal(err)
	}
	for _, put := range []struct {
		path string
		body any
	}{
		{tenant, map[string]string{"name": org.name, "owner_email": "it@contoso.example", "method": "domain_wide"}},
		{tenant + "/participants/" + pair.mentor.id, map[string]string{"email": pair.mentor.email}},
		{tenant + "/participants/" + pair.mentee.id, map[string]string{"email": pair.mentee.email}},
		{tenant + "/sessions/s-1", map[string]any{
			"organizer": pair.mentor.id, "attendees": []string{pair.mentee.id}, "starts_at": seen.Start, "ends_at": seen.End,
			"time_zone": org.zone, "outlook": map[string]string{"event_id": session.EventID},
		}},
	} {
		if err := s.api.do(t.Context(), http.MethodPut, put.path, put.body, nil); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the subscription", func(context.Context) (bool, error) { return len(s.outlook.sim.Subscriptions()) > 0, nil })
	return tenant, session
}

// kill ends a process without a chance to finish anything.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if status := p.ends(t, syscall.SIGKILL); status == 0 {
		t.Error("killed, and ended with status 0")
	}
}

// matches tells whether the process has written a line like this.
func (p *process) matches(pattern *regexp.Regexp) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) { return pattern.MatchString(p.output()), nil }
}

// post sends a body as Graph does.
func post(t *testing.T, target, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

// clientStates signs as the process under test does.
func clientStates(keys string) (*model.ClientStates, error) {
	parsed, err := config.ParseKeys(keys)
	if err != nil {
		return nil, err
	}
	return model.NewClientStates(parsed.Reveal())
}

// leftovers fails the test when a process still has the folder on its command line, as PostgreSQL has. It can tell on Linux
// only.
func leftovers(t *testing.T, dir string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		content, err := os.ReadFile(line)
		if err == nil && strings.Contains(string(content), dir) { // Most that can't be read have just ended.
			t.Errorf("%s is still running: %q", line, content)
		}
	}
}

// hasContractMetrics scrapes the process and looks for every metric of the contract, and for people among the labels.
func (s *site) hasContractMetrics(t *testing.T) {
	t.Helper()
	_, body, err := ask(t.Context(), t, "http://"+s.ops+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(`sync_lag_seconds_bucket delivery_lag_seconds_bucket processing_lag_seconds_bucket
		notifications_total{result="accepted"} notifications_total{result="duplicate"} notifications_total{result="bad_client_state"}
		notifications_total{result="malformed"} notifications_total{result="unavailable"} lifecycle_notifications_total{event="missed"}
		reconciles_total{outcome="changed"} reconciles_total{outcome="unchanged"} reconciles_total{outcome="unrelated"}
		reconciles_total{outcome="stale"} reconciles_total{outcome="retried"} reconciles_total{outcome="dead"}
		changes_total{cause="notification",kind="rescheduled",source="outlook"} queue_pending{ queue_oldest_seconds{
		webhook_request_seconds_bucket{code="202",le="1"} webhook_request_seconds_bucket{code="202",le="3"}
		webhook_request_seconds_bucket{code="202",le="10"} deadletters outbox_pending outbox_oldest_seconds
		subscriptions{state="active"} subscriptions{state="pending"} subscriptions{state="expired"} subscriptions{state="failing"}
		subscription_expiry_seconds subscription_renewals_total{ mailboxes{status="ok"} mailboxes{status="unreachable"}
		tenants{status="connected"} tenants{status="failing"} graph_requests_total{ graph_request_seconds_bucket graph_throttled_total{
		sweep_verified_total sweep_drift_total build_info{`) {
		if !strings.Contains(body, "\npairsync_"+name) {
			t.Errorf("/metrics has no pairsync_%s", name)
		}
	}
	for _, org := range organisations() {
		for _, secret := range []string{org.tenant, org.domain, s.sessions[0].EventID, "s-1"} {
			if strings.Contains(body, secret) {
				t.Errorf("%q stands in /metrics", secret)
			}
		}
	}
}

// portOf returns the port of an address.
func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// passwordOf returns the password in a URL.
func passwordOf(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	password, ok := u.User.Password()
	if !ok || len(password) < 8 {
		t.Fatal("the URL has no password worth looking for")
	}
	return password
}
