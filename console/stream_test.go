package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/console"
	"pairsync/internal/testbed"
)

// event is a server-sent event; comments and fields without data are not events.
type event struct {
	id, name, data string
	change         changeJSON
}

// stream is a client of /v1/changes/stream.
type stream struct {
	a      *api
	res    *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
	// comments counts the comments read so far.
	comments int
}

// open opens a stream; it is closed with the test at the latest.
func (a *api) open(token, query, lastEventID string) *stream {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server.URL+"/v1/changes/stream"+query, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	res, err := a.server.Client().Do(req) //nolint:bodyclose // close does, at the end of the test at the latest.
	if err != nil {
		a.t.Fatal(err)
	}
	s := &stream{a: a, res: res, lines: bufio.NewReader(res.Body), cancel: cancel}
	a.t.Cleanup(s.close)
	a.description.conforms(a.t, http.MethodGet, req.URL, res, nil)
	if res.StatusCode != http.StatusOK {
		a.t.Fatalf("the stream answers %d", res.StatusCode)
	}
	return s
}

func (s *stream) close() {
	s.cancel()
	_ = s.res.Body.Close()
}

// next reads the next event; it gives the error that ended the stream.
func (s *stream) next() (event, error) {
	var e event
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && e.data != "":
			if err := json.Unmarshal([]byte(e.data), &e.change); err != nil {
				return e, err
			}
			return e, nil
		case name == "" && line != "":
			s.comments++
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data += value
		}
	}
}

// take reads n events, each checked against the description.
func (s *stream) take(n int) []event {
	s.a.t.Helper()
	var events []event
	timer := time.AfterFunc(30*time.Second, s.cancel)
	defer timer.Stop()
	for len(events) < n {
		e, err := s.next()
		if err != nil {
			s.a.t.Fatalf("the stream ended after %d events of %d: %v", len(events), n, err)
		}
		if e.name != "change" || e.id != e.change.Cursor {
			s.a.t.Errorf("event %q with id %q holds the change with cursor %q", e.name, e.id, e.change.Cursor)
		}
		if err := s.a.description.validate(s.a.t, []byte(e.data), "components", "schemas", "Change"); err != nil {
			s.a.t.Errorf("the event is not as described: %v", err)
		}
		events = append(events, e)
	}
	return events
}

func changesOf(events []event) []string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.change.Tenant+"/"+e.change.Session)
	}
	return ids
}

func TestStreamBeginsNow(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	a.link(adaTenant, "before")
	s := a.open(allToken, "", "")
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := s.res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	a.link(adaTenant, "after")
	first := s.take(1)[0]
	if first.change.Session != "after" {
		t.Errorf("the first event is of %q", first.change.Session)
	}
	fromFeed := a.get("/v1/changes?after=0&limit=1000")
	if !strings.Contains(string(fromFeed.body), first.data) {
		t.Errorf("the event %s is not written as in the feed %s", first.data, fromFeed.body)
	}
}

func TestStreamResumes(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	for _, id := range []string{"1", "2", "3"} {
		a.link(adaTenant, id)
	}
	all := a.open(allToken, "?after=0", "").take(3)
	if diff := cmp.Diff([]string{"1", "2", "3"}, []string{all[0].change.Session, all[1].change.Session, all[2].change.Session}); diff != "" {
		t.Errorf("from the beginning (-want +got):\n%s", diff)
	}
	if got := a.open(allToken, "", all[1].id).take(1)[0].change.Session; got != "3" {
		t.Errorf("behind the second comes %q", got)
	}
	// A browser repeats the URL it began with, and says in the header how far it came.
	if got := a.open(allToken, "?after=0", all[1].id).take(1)[0].change.Session; got != "3" {
		t.Errorf("the header doesn't go before the parameter: %q", got)
	}
	// A cursor of a database that isn't there any more must not make a stream wait for years.
	ahead := a.open(allToken, "", "4000000000")
	a.link(adaTenant, "4")
	if got := ahead.take(1)[0].change.Session; got != "4" {
		t.Errorf("ahead of all comes %q", got)
	}
	for _, tc := range [][3]string{{"", "x", "Last-Event-ID"}, {"", "-1", "Last-Event-ID"}, {"?after=x", "", "after"}, {"?limit=3", "", "limit"}} {
		headers := []string{}
		if tc[1] != "" {
			headers = []string{"Last-Event-ID", tc[1]}
		}
		a.request("GET", "/v1/changes/stream"+tc[0], allToken, "", headers...).refused(t, 400, tc[2])
	}
}

// TestStreamsUnderConcurrentCommits breaks each of several streams again and again while commits overlap. With a backlog of a
// few changes, they also have to go from the database to memory and back.
func TestStreamsUnderConcurrentCommits(t *testing.T) {
	t.Parallel()
	for _, backlog := range []int{4, 2048} {
		t.Run(fmt.Sprint(backlog), func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, func(cfg *console.Config) { cfg.Backlog = backlog })
			a.people(adaTenant, "p-1", "p-2")
			a.people(otherTenant, "p-1", "p-2")
			const writers, each, total = 4, 20, 80
			var clients sync.WaitGroup
			got := make([][]string, 6)
			for i := range got {
				token, wanted := allToken, total
				if i%3 == 2 {
					token, wanted = adaToken, total/2
				}
				clients.Go(func() {
					last := "0"
					for len(got[i]) < wanted {
						s := a.open(token, "", last)
						events := s.take(min(1+i*3, wanted-len(got[i])))
						s.close()
						got[i] = append(got[i], changesOf(events)...)
						last = events[len(events)-1].id
					}
				})
			}
			wait := a.linkMany("s", writers, each)
			clients.Wait()
			wait()
			settled := sessionsOf(a.readFeed(allToken, "0", 1000, total))
			limited := slices.DeleteFunc(slices.Clone(settled), func(id string) bool { return !strings.HasPrefix(id, adaTenant) })
			for i := range got {
				want := settled
				if i%3 == 2 {
					want = limited
				}
				if diff := cmp.Diff(want, got[i]); diff != "" {
					t.Errorf("stream %d, against the feed (-feed +stream):\n%s", i, diff)
				}
			}
		})
	}
}

func TestStreamHeartbeats(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) { cfg.Heartbeat = 10 * time.Millisecond })
	a.people(adaTenant, "p-1", "p-2")
	s := a.open(allToken, "", "")
	for range 6 {
		if _, err := s.lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	a.link(adaTenant, "s-1")
	s.take(1)
}

func TestStreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) { cfg.Heartbeat = time.Hour })
	s := a.open(allToken, "", "")
	ended := make(chan error, 1)
	go func() {
		_, err := s.next()
		ended <- err
	}()
	a.stop()
	if err := testbed.Receive(t, "the end of the stream", ended); err == nil {
		t.Error("an event came instead of the end")
	}
	// With no stream left, the server has nothing to wait for.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.server.Config.Shutdown(ctx); err != nil {
		t.Errorf("the server doesn't shut down: %v", err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) { cfg.MaxStreams = 1 })
	first := a.open(allToken, "", "")
	res := a.request("GET", "/v1/changes/stream", allToken, "")
	res.want(t, 503)
	if res.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	first.close()
	testbed.Eventually(t, "room for another stream", func(ctx context.Context) bool {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		get, _ := http.NewRequestWithContext(ctx, http.MethodGet, a.server.URL+"/v1/changes/stream", nil)
		get.Header.Set("Authorization", "Bearer "+allToken)
		res, err := a.server.Client().Do(get)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// TestSlowStreamIsDropped has a client that asks for more than its connection holds, and never reads.
func TestSlowStreamIsDropped(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) { cfg.WriteTimeout = 100 * time.Millisecond })
	a.people(adaTenant, "p-1", "p-2")
	for i := range 300 {
		a.link(adaTenant, fmt.Sprintf("s-%d", i))
	}
	server := httptest.NewUnstartedServer(a.server.Config.Handler)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		return ctx
	}
	server.Start()
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := fmt.Fprintf(conn, "GET /v1/changes/stream?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", allToken); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, "the slow stream to be dropped", func(context.Context) bool {
		return a.metric("pairsync_api_streams_dropped_total", "slow") == 1 && a.metric("pairsync_api_streams", "") == 0
	})
}

// metric is the value of the series that has the label value.
func (a *api) metric(name, label string) float64 {
	families, err := a.registry.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// TestStreamOutlivesDatabaseConnections ends every connection of the store, as a restart of the database does.
func TestStreamOutlivesDatabaseConnections(t *testing.T) {
	t.Parallel()
	url := testbed.DatabaseURL(t)
	a := startAPIOn(t, url, func(cfg *console.Config) { cfg.Poll = time.Hour })
	a.people(adaTenant, "p-1", "p-2")
	s := a.open(allToken, "", "")
	a.link(adaTenant, "before")
	s.take(1)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, "the store to be back", func(ctx context.Context) bool {
		return a.store.Ping(ctx) == nil
	})
	a.link(adaTenant, "after")
	if got := s.take(1)[0].change.Session; got != "after" {
		t.Errorf("after the restart comes %q", got)
	}
}
