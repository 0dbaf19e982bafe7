package console

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestManyStreamsShareTheirReads opens hundreds of streams over one change log: they must not read it themselves.
func TestManyStreamsShareTheirReads(t *testing.T) {
	t.Parallel()
	const clients, changes = 300, 40
	log := &memoryLog{}
	known, err := newTokens([]Token{{Name: "a", Secret: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Console{
		cfg:     Config{RequestTimeout: time.Minute, WriteTimeout: time.Minute, Heartbeat: time.Minute, MaxStreams: clients},
		tokens:  known,
		log:     slog.New(slog.DiscardHandler),
		mux:     http.NewServeMux(),
		streams: make(chan struct{}, clients), catchUps: make(chan struct{}, catchUps),
		feed: newFeed(log, 1000, time.Hour, slog.New(slog.DiscardHandler)),
	}
	c.metrics = newMetrics(prometheus.NewRegistry(), c.route())
	server := httptest.NewServer(c)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()

	var opened, done sync.WaitGroup
	for range clients {
		opened.Add(1)
		done.Go(func() {
			events := readStream(t, server, opened.Done)
			if events != changes {
				t.Errorf("a stream gave %d events, want %d", events, changes)
			}
		})
	}
	opened.Wait()
	for range changes {
		log.commit(1, false)
	}
	// Every stream ends with the feed, but not before it has sent what there is.
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for c.feed.after(0).head < 10*changes {
		select {
		case <-c.feed.after(0).grown:
		case <-deadline.C:
			t.Fatal("the feed doesn't see every change")
		}
	}
	done.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if log.reads > 2*changes+2 {
		t.Errorf("%d changes for %d streams cost %d reads", changes, clients, log.reads)
	}
}

// readStream reads 40 events of one stream and counts them.
func readStream(t *testing.T, server *httptest.Server, opened func()) (events int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/changes/stream?after=0", nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer s")
	res, err := server.Client().Do(req)
	opened()
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for events < 40 && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "id: ") {
			events++
		}
	}
	return events
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
