package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// hostile is a kind of POST that a stranger may send, and what the contract has to say to it.
type hostile struct {
	name        string
	path        string
	contentType string
	body        func() io.Reader
	want        int
	// ends is how its one item ends in the metrics; empty when it has none that could be told.
	ends string
	// times is how often it is sent in a wave.
	times int
}

func text(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

// unannounced is text whose length the client does not tell.
func unannounced(s string) func() io.Reader {
	return func() io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
}

func hostiles(item string) []hostile {
	const path, kind = "/graph/notifications", "application/json"
	giant := strings.Repeat(`{"value":[`, 512<<10)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	return []hostile{
		{"no JSON", path, kind, text("hello"), http.StatusBadRequest, "", 500},
		{"nothing", path, kind, text(""), http.StatusBadRequest, "", 200},
		{"half of an item", path, kind, text(item[:len(item)/2]), http.StatusBadRequest, "", 500},
		{"no collection", "/graph/lifecycle", kind, text(`{"values":[]}`), http.StatusBadRequest, "", 200},
		{"deep", path, kind, text(deep), http.StatusBadRequest, "", 50},
		{"deep inside of an item", path, kind, text(`{"value":[{"x":` + deep + `}]}`), http.StatusBadRequest, "", 50},
		{"bytes", path, kind, text(strings.Repeat("\x00\xff", 5000)), http.StatusBadRequest, "", 200},
		{"a giant", path, kind, text(giant), http.StatusRequestEntityTooLarge, "", 20},
		{"a giant of unknown size", path, kind, unannounced(giant), http.StatusRequestEntityTooLarge, "", 20},
		{"a form", path, "application/x-www-form-urlencoded", text("a=b"), http.StatusUnsupportedMediaType, "", 200},
		{"a long token", path + "?validationToken=" + strings.Repeat("x", 5000), "text/plain", text(""), http.StatusBadRequest, "", 100},
		{"another path", "/metrics", kind, text(item), http.StatusNotFound, "", 200},
		{"forged", path, kind, text(strings.Replace(item, `"clientState":"`, `"clientState":"x`, 1)), http.StatusAccepted, "bad_client_state", 500},
		{"forged lifecycle", "/graph/lifecycle", kind, text(`{"value":[{"lifecycleEvent":"missed","subscriptionId":"s","clientState":"y"}]}`), http.StatusAccepted, "bad_client_state", 300},
		{"about nothing", path, kind, text(strings.ReplaceAll(item, `y"`, `"`)), http.StatusAccepted, "malformed", 300},
	}
}

// TestStrangersAtTheDoor sends garbage, giants, forgeries and depths to the real process, in waves, with slow clients
// beside them. Each gets the contract's answer, each item ends in exactly one result, Graph's own POSTs get through all the
// while, and the process does not grow.
func TestStrangersAtTheDoor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve", "--roles", "webhook")
	s.ready(t)
	item := s.item(t)
	all := hostiles(item("y"))

	release := s.besiege(t, 200)
	s.wave(t, all, 1, item) // What it needs for such work, it has from here on.
	before := p.resident(t)
	const waves = 3
	for n := range waves {
		s.wave(t, all, n+2, item)
	}
	// A wave is more than 200 MiB. When the collector runs moves what is resident by tens of them.
	if grown := p.resident(t) - before; grown > 64<<20 {
		t.Errorf("the process grew by %d MiB to %d MiB", grown>>20, p.resident(t)>>20)
	}
	release()
	t.Logf("resident: %d MiB before, %d MiB after", before>>20, p.resident(t)>>20)
	if strings.Contains(p.output(), "panic") || strings.Contains(p.output(), "goroutine ") {
		t.Error("something panicked")
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}

// item makes collections of one notification of ours each.
func (s *site) item(t *testing.T) func(event string) string {
	t.Helper()
	keys, err := clientStates(s.env["PAIRSYNC_SECRET_KEYS"])
	if err != nil {
		t.Fatal(err)
	}
	const mailbox = "8f0b7c1e-4a52-4f0e-9b1d-3c2a1b0c9d8e"
	tenant := organisations()[0].tenant
	state, err := keys.Sign(tenant, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return func(event string) string {
		return `{"value":[{"subscriptionId":"6f1c1f50-9b4b-4f55-9d1c-6d3a1b1c0001","changeType":"updated","clientState":"` + state +
			`","resource":"Users/` + mailbox + `/Events/` + event + `","tenantId":"` + tenant +
			`","resourceData":{"@odata.type":"#Microsoft.Graph.Event","@odata.id":"Users/` + mailbox + `/Events/` + event +
			`","@odata.etag":"W/\"k\"","id":"` + event + `"}}]}`
	}
}

// wave sends everything, and Graph's own in between, and compares the metrics with what was sent.
func (s *site) wave(t *testing.T, all []hostile, number int, item func(string) string) {
	t.Helper()
	results := []string{"accepted", "duplicate", "bad_client_state", "malformed", "unavailable"}
	counts := func() map[string]int {
		have := map[string]int{}
		for _, result := range results {
			have[result] = int(s.metric(t.Context(), t, "notifications_total", `result="`+result+`"`))
		}
		return have
	}
	was, want := counts(), map[string]int{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: patience}
	defer client.CloseIdleConnections()
	var work errgroup.Group
	work.SetLimit(8)
	for _, h := range all {
		if h.ends != "" {
			want[h.ends] += h.times
		}
		for range h.times {
			work.Go(func() error { return s.expect(t.Context(), client, h) })
		}
		for _, ends := range []string{"accepted", "duplicate"} { // The second is the same again.
			want[ends]++
			ours := hostile{
				name: "Graph's own", path: "/graph/notifications", contentType: "application/json; charset=utf-8",
				body: text(item(fmt.Sprintf("e%d-%s", number, strings.ReplaceAll(h.name, " ", "-")))), want: http.StatusAccepted,
			}
			if err := s.expect(t.Context(), client, ours); err != nil {
				t.Error(err)
			}
		}
	}
	if err := work.Wait(); err != nil {
		t.Error(err)
	}
	now := counts()
	for _, result := range results {
		if got := now[result] - was[result]; got != want[result] {
			t.Errorf("%d items ended as %s, want %d", got, result, want[result])
		}
	}
}

// expect sends one POST. A door that has heard enough of a giant may close the connection in the middle of it.
func (s *site) expect(ctx context.Context, client *http.Client, h hostile) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.webhook+h.path, h.body())
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", h.contentType)
	res, err := client.Do(req)
	if err != nil {
		if h.want == http.StatusRequestEntityTooLarge && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
			return nil
		}
		return fmt.Errorf("%s: %w", h.name, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	// Giants share a bounded memory; one that finds no room is asked to come again.
	crowded := h.want == http.StatusRequestEntityTooLarge && res.StatusCode == http.StatusServiceUnavailable
	if res.StatusCode != h.want && !crowded {
		return fmt.Errorf("%s: answered %d, want %d", h.name, res.StatusCode, h.want)
	}
	if len(answer) > 0 {
		return fmt.Errorf("%s: told a stranger %q", h.name, answer)
	}
	return nil
}

// besiege opens connections that never finish what they say, half of them in the headers and half in the body, and opens
// each again when the door has closed it, until release.
func (s *site) besiege(t *testing.T, clients int) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	closed := 0
	for i := range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if !s.dawdle(ctx, i%2 == 0) {
					continue
				}
				mu.Lock()
				closed++
				longest = max(longest, time.Since(began))
				mu.Unlock()
			}
		})
	}
	within(t, "the door to close on slow clients", func(context.Context) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return closed >= clients, nil
	})
	return func() {
		cancel()
		all.Wait()
		if longest > 30*time.Second {
			t.Errorf("a slow client held a connection for %s", longest)
		}
	}
}

// dawdle says whether the door closed the connection.
func (s *site) dawdle(ctx context.Context, inHeaders bool) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.webhook)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() { stop(); _ = conn.Close() }()
	words := "POST /graph/notifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	if !inHeaders {
		words += "Content-Length: 100000\r\n\r\n{\"value\":["
	}
	if _, err := io.WriteString(conn, words); err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, conn)
	return ctx.Err() == nil && err == nil
}

// resident is the process's resident memory in bytes. It can tell on Linux only.
func (p *process) resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if words := strings.Fields(string(line)); len(words) == 3 && words[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
