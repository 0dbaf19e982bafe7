package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
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
	return startProgram(t, "pairsync", env, args...)
}

// startProgram is start for any of the programs that TestMain knows.
func startProgram(t *testing.T, program string, env map[string]string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{}), grown: make(chan struct{}, 1)}
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
