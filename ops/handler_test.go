package ops

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// get asks the handler and returns status and body.
func get(t *testing.T, h http.Handler, path, accept string) (int, http.Header, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code, rec.Header(), rec.Body.String()
}

func newTestHandler(t *testing.T) (http.Handler, *Readiness, *prometheus.Registry) {
	t.Helper()
	reg, err := NewRegistry(Build{Version: "1.2.3", Commit: "abc", GoVersion: "go1.26"})
	if err != nil {
		t.Fatal(err)
	}
	ready := NewReadiness(time.Second)
	return NewHandler(reg, ready, slog.New(slog.DiscardHandler)), ready, reg
}

func TestMetricsHoldBuildInfoAndExemplars(t *testing.T) {
	t.Parallel()
	h, _, reg := newTestHandler(t)
	lag := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "pairsync_test_seconds", Help: "Test.", Buckets: []float64{1}})
	reg.MustRegister(lag)
	lag.(prometheus.ExemplarObserver).ObserveWithExemplar(0.5, prometheus.Labels{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})

	status, _, body := get(t, h, "/metrics", "")
	want := `pairsync_build_info{commit="abc",go_version="go1.26",version="1.2.3"} 1`
	if status != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("status %d, body without %s or the runtime's figures:\n%s", status, want, body)
	}
	_, header, body := get(t, h, "/metrics", "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(header.Get("Content-Type"), "application/openmetrics-text") || !strings.Contains(body, `# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.5`) {
		t.Errorf("OpenMetrics (%s) has no exemplar:\n%s", header.Get("Content-Type"), body)
	}
}

func TestHealthSaysOK(t *testing.T) {
	t.Parallel()
	h, ready, _ := newTestHandler(t)
	ready.Require("database", func(context.Context) error { return errors.New("down") })
	if status, _, body := get(t, h, "/healthz", ""); status != http.StatusOK || body != "ok\n" {
		t.Errorf("got %d %q: a process that waits for its database lives", status, body)
	}
}

func TestProfilesAreServed(t *testing.T) {
	t.Parallel()
	h, _, _ := newTestHandler(t)
	if status, _, body := get(t, h, "/debug/pprof/goroutine?debug=1", ""); status != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("got %d %q", status, body)
	}
	if status, _, _ := get(t, h, "/", ""); status != http.StatusNotFound {
		t.Errorf("/ answers %d", status)
	}
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	h, ready, _ := newTestHandler(t)
	type answer struct {
		Ready   bool
		Missing []Missing
	}
	check := func(wantStatus int, want answer) {
		t.Helper()
		status, header, body := get(t, h, "/readyz", "")
		var got answer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || status != wantStatus || header.Get("Content-Type") != "application/json" {
			t.Errorf("status %d (-want +got):\n%s", status, diff)
		}
	}
	check(http.StatusOK, answer{Ready: true, Missing: []Missing{}})

	ready.Require("nats", func(context.Context) error { return errors.New("not connected") })
	ready.Require("database", func(context.Context) error { return errors.New("schema is behind") })
	ready.Require("webhook", func(context.Context) error { return nil })
	check(http.StatusServiceUnavailable, answer{Missing: []Missing{
		{Name: "database", Reason: "schema is behind"}, {Name: "nats", Reason: "not connected"},
	}})

	ready.Require("nats", func(context.Context) error { return nil })
	ready.Require("database", func(context.Context) error { return nil })
	check(http.StatusOK, answer{Ready: true, Missing: []Missing{}})
}

func TestReadinessDoesNotWaitForAProbeThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ready := NewReadiness(time.Second)
		release := make(chan struct{})
		ready.Require("database", func(context.Context) error { <-release; return nil })
		ready.Require("nats", func(context.Context) error { return nil })
		began := time.Now()
		got := ready.Check(t.Context())
		if diff := cmp.Diff([]Missing{{Name: "database", Reason: "did not answer in time"}}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %s", took)
		}
		close(release)
	})
}

func TestBuildFallsBackOnWhatGoKnows(t *testing.T) {
	t.Parallel()
	if got := ReadBuild("v1", "c1"); got.Version != "v1" || got.Commit != "c1" || !strings.HasPrefix(got.GoVersion, "go") {
		t.Errorf("got %+v", got)
	}
	if got := ReadBuild("", ""); got.Version == "" || got.Commit == "" {
		t.Errorf("got %+v", got)
	}
}

func TestRegistryIsLintFree(t *testing.T) {
	t.Parallel()
	_, _, reg := newTestHandler(t)
	problems, err := testutil.GatherAndLint(reg, "pairsync_build_info")
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// TestLogsCarryTheTrace also proves that loggers made from ours keep doing so.
func TestLogsCarryTheTrace(t *testing.T) {
	stop, err := StartTracing(t.Context(), "", Build{Version: "1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop(context.WithoutCancel(t.Context())) }()
	ctx, span := startSpan(t.Context())
	defer span.End()

	r, w := io.Pipe()
	lines := bufio.NewScanner(r)
	log := NewLogger(w, slog.LevelInfo, "json").With(slog.String("role", "webhook"))
	go func() {
		log.DebugContext(ctx, "below the level")
		log.InfoContext(ctx, "in a trace")
		log.InfoContext(t.Context(), "outside")
		_ = w.Close()
	}()
	var got []map[string]any
	for lines.Scan() {
		var record map[string]any
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Fatal(err)
		}
		got = append(got, record)
	}
	if len(got) != 2 || got[0]["trace_id"] != span.SpanContext().TraceID().String() || got[0]["role"] != "webhook" || got[1]["trace_id"] != nil {
		t.Errorf("got %v", got)
	}
}

func TestTextLogsAreText(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	NewLogger(&out, slog.LevelWarn, "text").Warn("hello", slog.Int("n", 1))
	if !strings.Contains(out.String(), "level=WARN msg=hello n=1") {
		t.Errorf("got %s", out.String())
	}
}
