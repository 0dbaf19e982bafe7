package ops

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins a span of the global tracer.
func startSpan(ctx context.Context) (context.Context, trace.Span) {
	return otel.Tracer("test").Start(ctx, "a span")
}

// TestTracesAreSentToTheEndpoint isn't parallel: the tracer is global.
func TestTracesAreSentToTheEndpoint(t *testing.T) {
	type post struct{ path, body string }
	got := make(chan post, 4)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- post{r.URL.Path, string(body)}
	}))
	defer collector.Close()

	stop, err := StartTracing(t.Context(), collector.URL, Build{Version: "9.9.9"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := startSpan(t.Context())
	span.End()
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-got:
		// The body is protobuf; its strings stand in it as they are.
		if p.path != "/v1/traces" || !strings.Contains(p.body, "a span") || !strings.Contains(p.body, "9.9.9") || !strings.Contains(p.body, "pairsync") {
			t.Errorf("posted to %s: %q", p.path, p.body)
		}
	default:
		t.Error("nothing was sent")
	}
}

// TestWithoutEndpointTheTraceStillTravels makes sure that messages carry a traceparent when nobody collects traces.
func TestWithoutEndpointTheTraceStillTravels(t *testing.T) {
	stop, err := StartTracing(t.Context(), "", Build{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop(context.WithoutCancel(t.Context())) }()
	ctx, span := startSpan(t.Context())
	defer span.End()
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	if !strings.Contains(carrier["traceparent"], span.SpanContext().TraceID().String()) {
		t.Errorf("carrier: %v", carrier)
	}
	if span.IsRecording() {
		t.Error("spans are recorded though nobody wants them")
	}
}
