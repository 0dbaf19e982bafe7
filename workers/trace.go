package workers

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// startSpan begins a span of this room under the one that ctx carries. Without a sampled one there it does nothing, because
// spans that nobody sees cost as much as a look-up. The tracer is asked for each time because the provider is set by
// whoever wires the program, maybe after the workers were made.
func startSpan(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noop.Span{}
	}
	return otel.Tracer("pairsync/workers").Start(ctx, name, trace.WithAttributes(attrs...))
}

// startTrace is startSpan for what nobody asked for: the beginning of a trace of its own.
func startTrace(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return otel.Tracer("pairsync/workers").Start(ctx, name, trace.WithNewRoot(), trace.WithAttributes(attrs...))
}
