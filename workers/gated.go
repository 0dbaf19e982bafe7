package workers

import (
	"context"
	"time"

	"pairsync/internal/graph"
)

// gated lets a calendar's calls through the gate one by one, so that pauses between calls take nobody's place. Single events
// that would have to wait for a place ride together.
type gated struct {
	calendar calendar
	gate     *gate
	carpool  *carpool
}

func (g gated) Event(ctx context.Context, mb graph.Mailbox, id string) (graph.Event, error) {
	return g.carpool.event(ctx, mb, id)
}

func (g gated) EventByICalUID(ctx context.Context, mb graph.Mailbox, uid string) (graph.Event, error) {
	return through(ctx, g.gate, mb, func(ctx context.Context) (graph.Event, error) {
		return g.calendar.EventByICalUID(ctx, mb, uid)
	})
}

func (g gated) Instances(ctx context.Context, mb graph.Mailbox, masterID string, from, to time.Time) ([]graph.Event, error) {
	return through(ctx, g.gate, mb, func(ctx context.Context) ([]graph.Event, error) {
		return g.calendar.Instances(ctx, mb, masterID, from, to)
	})
}

// through makes one call inside the gate. The client ends a call that hangs.
func through[T any](ctx context.Context, g *gate, mb graph.Mailbox, call func(context.Context) (T, error)) (T, error) {
	leave, ok := g.enter(ctx, mb.Tenant, mb.User)
	if !ok {
		var none T
		return none, crowded(ctx)
	}
	defer leave()
	ctx, span := startSpan(ctx, "read")
	defer span.End()
	v, err := call(ctx)
	if err != nil && graph.KindOf(err) != graph.KindNotFound {
		span.RecordError(err)
	}
	return v, err
}
