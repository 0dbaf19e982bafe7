package graph

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A call is a span of its own when somebody traces, and it names the operation only: no mailbox, no event.
func TestSpans(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	s := newStandIn(t, answer(http.StatusOK, plainEvent, "request-id", "r-1"))
	c := s.client(t)
	c.tracer = provider.Tracer("test")
	read := func(ctx context.Context) {
		t.Helper()
		if _, err := c.Event(ctx, Mailbox{Tenant: tenantA, User: mailboxA}, "AAMkSecret="); err != nil {
			t.Fatal(err)
		}
	}
	read(t.Context())
	if n := len(recorder.Ended()); n != 0 {
		t.Errorf("%d spans though nobody traces", n)
	}
	ctx, root := provider.Tracer("test").Start(t.Context(), "root")
	read(ctx)
	root.End()
	spans := recorder.Ended()
	if len(spans) != 2 || spans[0].Name() != "graph get_event" || spans[0].Parent().SpanID() != root.SpanContext().SpanID() {
		t.Fatalf("%d spans", len(spans))
	}
	seen := map[string]string{}
	for _, a := range spans[0].Attributes() {
		seen[string(a.Key)] = a.Value.String()
		if strings.Contains(a.Value.String(), mailboxA) || strings.Contains(a.Value.String(), "AAMk") {
			t.Errorf("%s names the mailbox or the event", a.Key)
		}
	}
	if seen["http.response.status_code"] != "200" || seen["graph.request_id"] != "r-1" {
		t.Errorf("%v", seen)
	}
}
