package console

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/testbed"
)

// streamsOver is a Console that has nothing but streams over the log.
func streamsOver(t *testing.T, log changeLog, streams, backlog int) *httptest.Server {
	t.Helper()
	known, err := newTokens([]Token{{Name: "a", Secret: "all"}, {Name: "b", Secret: "one", Tenant: "t-1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Console{
		cfg:     Config{RequestTimeout: time.Minute, WriteTimeout: time.Minute, Heartbeat: time.Minute, MaxStreams: streams},
		tokens:  known,
		log:     slog.New(slog.DiscardHandler),
		mux:     http.NewServeMux(),
		streams: make(chan struct{}, streams), catchUps: make(chan struct{}, catchUps),
		feed: newFeed(log, backlog, time.Hour, slog.New(slog.DiscardHandler)),
	}
	c.metrics = newMetrics(prometheus.NewRegistry(), c.route())
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	testbed.Run(t, "the feed", c.Run)
	return server
}

// readStream reads a stream from the beginning until it has n cursors.
func readStream(t *testing.T, server *httptest.Server, secret string, n int, opened func()) (cursors []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/changes/stream?after=0", nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	res, err := server.Client().Do(req)
	opened()
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for len(cursors) < n && lines.Scan() {
		if cursor, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			cursors = append(cursors, cursor)
		}
	}
	return cursors
}

// TestManyStreamsShareTheirReads opens hundreds of streams over one change log: they must not read it themselves.
func TestManyStreamsShareTheirReads(t *testing.T) {
	t.Parallel()
	const clients, changes = 300, 40
	log := &memoryLog{}
	server := streamsOver(t, log, clients, 1000)
	var opened, done sync.WaitGroup
	for range clients {
		opened.Add(1)
		done.Go(func() {
			if got := readStream(t, server, "all", changes, opened.Done); len(got) != changes {
				t.Errorf("a stream gave %d events, want %d", len(got), changes)
			}
		})
	}
	opened.Wait()
	for range changes {
		log.commit(1, false)
	}
	done.Wait()
	log.mu.Lock()
	defer log.mu.Unlock()
	if log.reads > 2*changes+2 {
		t.Errorf("%d changes for %d streams cost %d reads", changes, clients, log.reads)
	}
}

// TestStreamsCatchUpPageByPage begins far behind what is in memory, at the place where one page of the database ends and in
// the middle of one.
func TestStreamsCatchUpPageByPage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{feedPage - 1, feedPage, feedPage + 1, 3*feedPage + 7} {
		log := &memoryLog{}
		log.commit(n, true)
		server := streamsOver(t, log, 2, 1)
		var all, one []string
		for _, c := range log.changes {
			all = append(all, formatFeedCursor(c.Cursor))
			if c.Tenant == "t-1" {
				one = append(one, formatFeedCursor(c.Cursor))
			}
		}
		if diff := cmp.Diff(all, readStream(t, server, "all", len(all), func() {})); diff != "" {
			t.Errorf("%d changes (-want +got):\n%s", n, diff)
		}
		if diff := cmp.Diff(one, readStream(t, server, "one", len(one), func() {})); diff != "" {
			t.Errorf("one tenant's of %d changes (-want +got):\n%s", n, diff)
		}
	}
}

// TestOlderSeesWhatCameMeanwhile reads a page that goes beyond what was in memory before it was read.
func TestOlderSeesWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	log := &memoryLog{}
	log.commit(3, true)
	c := &Console{cfg: Config{RequestTimeout: time.Minute}, catchUps: make(chan struct{}, 1), feed: newFeed(log, 1, time.Hour, slog.New(slog.DiscardHandler))}
	frames, head, err := (&stream{c: c}).older(t.Context(), 10)
	if err != nil || len(frames) != 3 || head != 30 {
		t.Errorf("%d frames up to %d, %v, want 3 up to 30", len(frames), head, err)
	}
	log.fail(errors.New("away"))
	if _, _, err := (&stream{c: c}).older(t.Context(), 10); !errors.Is(err, errDatabase) {
		t.Errorf("without a database: %v", err)
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	var logged strings.Builder
	c := &Console{
		cfg: Config{RequestTimeout: time.Minute}, log: slog.New(slog.NewTextHandler(&logged, nil)), mux: http.NewServeMux(),
		metrics: newMetrics(prometheus.NewRegistry(), nil),
	}
	c.mux.HandleFunc("GET /broken", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	c.mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		panic("a bug")
	})
	c.mux.HandleFunc("GET /aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for path, want := range map[string]int{"/broken": http.StatusInternalServerError, "/half": http.StatusAccepted} {
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != want || strings.Contains(rec.Body.String(), "a bug") {
			t.Errorf("%s answers %d: %s", path, rec.Code, rec.Body)
		}
	}
	if strings.Count(logged.String(), "a bug") != 2 || !strings.Contains(logged.String(), "stack") {
		t.Errorf("the log is:\n%s", logged.String())
	}
	defer func() {
		if recover() == nil {
			t.Error("an aborted handler is not passed on to the server")
		}
	}()
	c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/aborted", nil))
}
