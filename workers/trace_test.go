package workers

import (
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestNoSpanWithoutATrace(t *testing.T) {
	t.Parallel()
	ctx, span := startSpan(t.Context(), "read")
	defer span.End()
	if span.IsRecording() || trace.SpanContextFromContext(ctx).IsValid() {
		t.Error("a span was begun that nobody sees")
	}
}
