package queue_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestPublishEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	id, err := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}}))
	to := queue.EventSubject{Tenant: "t-1", Session: "s 42/é.*", Kind: model.KindRescheduled}
	for range 2 { // The first answer may have got lost.
		if err := b.b.PublishEvent(ctx, to, "change-1", []byte(`{"specversion":"1.0"}`)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.js.Stream(t.Context(), queue.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("%d messages for one change", got)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := "pairsync.changes.t-1.s=2042=2f=c3=a9=2e=2a.rescheduled"; m.Subject != want {
		t.Errorf("subject %s, want %s", m.Subject, want)
	}
	want := nats.Header{
		"Nats-Msg-Id": {"change-1"}, "Content-Type": {"application/cloudevents+json"},
		"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-0100000000000000-00"},
	}
	for name, values := range want {
		if !cmp.Equal(m.Header[name], values) {
			t.Errorf("header %s is %q, want %q", name, m.Header[name], values)
		}
	}
	b.nc.Close()
	if err := b.b.PublishEvent(t.Context(), to, "change-2", nil); err == nil {
		t.Error("published on a closed connection")
	}
}

// TestAGroupIsTracedFromItsHints is the only test that takes traces, since the provider is the process's.
func TestAGroupIsTracedFromItsHints(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	defer otel.SetTracerProvider(before)

	b := newBench(t, queue.Config{})
	begun, gate := make(chan struct{}), make(chan struct{})
	stop := b.run(queue.ConsumerConfig{Concurrency: 1}, func(ctx context.Context, g queue.Group) error {
		if g.Hints[0].EventID == "gate" {
			close(begun)
			<-gate
		} else if len(g.Hints) != 3 || !trace.SpanContextFromContext(ctx).IsSampled() {
			t.Errorf("a group of %d under %+v", len(g.Hints), trace.SpanContextFromContext(ctx))
		}
		return nil
	})
	b.publish(hint("gate", 0))
	testbed.Receive(t, "the first group", begun)
	for _, id := range []string{"", "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"} {
		m := &nats.Msg{Subject: "pairsync.notifications.t-1.m-1", Header: nats.Header{}}
		m.Data = []byte(`{"tenant":"t-1","mailbox":"m-1","event":"A"}`)
		if id != "" {
			m.Header["Traceparent"] = []string{"00-" + id + "-b7ad6b7169203331-01"}
		}
		if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	b.held(4)
	close(gate)
	b.empty()
	stop()
	spans := exporter.GetSpans()
	if len(spans) != 1 || spans[0].Parent.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" ||
		len(spans[0].Links) != 1 || spans[0].Links[0].SpanContext.TraceID().String() != "1af7651916cd43dd8448eb211c80319c" {
		t.Errorf("spans: %+v", spans)
	}
}

// lines is a log's text that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) has(words string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), words)
}

func TestConnect(t *testing.T) {
	t.Parallel()
	s := testbed.NATSServer(t)
	var out lines
	nc, err := queue.Connect(t.Context(), queue.ConnConfig{URL: s.URL(), Name: "a test", Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if nc.Opts.Name != "a test" {
		t.Errorf("the name is %q", nc.Opts.Name)
	}
	s.Stop()
	testbed.Eventually(t, "word of the break", func(context.Context) bool { return out.has("connection lost") })
	s.Start()
	testbed.Eventually(t, "word of the return", func(context.Context) bool { return out.has("connection restored") })
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, c := range map[string]struct {
		under func() context.Context
		cfg   queue.ConnConfig
	}{
		"no URL":          {t.Context, queue.ConnConfig{}},
		"nobody there":    {t.Context, queue.ConnConfig{URL: "nats://127.0.0.1:1"}},
		"no credentials":  {t.Context, queue.ConnConfig{URL: "nats://127.0.0.1:1", CredsFile: "/does/not/exist"}},
		"context ended":   {func() context.Context { return ended }, queue.ConnConfig{URL: "nats://127.0.0.1:1"}},
		"deadline passed": {func() context.Context { return late }, queue.ConnConfig{URL: "nats://127.0.0.1:1"}},
	} {
		if nc, err := queue.Connect(c.under(), c.cfg); err == nil || !strings.HasPrefix(err.Error(), "connecting to NATS: ") {
			t.Errorf("%s: %v, %v", name, nc, err)
		}
	}
}
