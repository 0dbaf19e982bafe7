package workers

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins a span of this room under whatever span ctx carries. The tracer is asked for each time because the
// provider is set by whoever wires the program, maybe after this package was loaded.
func startSpan(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return otel.Tracer("pairsync/workers").Start(ctx, name, trace.WithAttributes(attrs...))
}
