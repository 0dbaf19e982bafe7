package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Depth is how much waits in a work queue.
type Depth struct {
	Stream   string
	Consumer string
	// Pending is how many messages were not yet delivered or not yet acknowledged.
	Pending int
	// Oldest is when the oldest of them was stored; zero when there is none. A message that failed counts from its last
	// failure.
	Oldest time.Time
}

// Depths asks JetStream how much waits in the work queues. The answer doesn't depend on traffic: a work queue holds exactly
// what isn't done, so its first message is the oldest one.
func (b *Broker) Depths(ctx context.Context) ([]Depth, error) {
	depths := make([]Depth, 0, 2)
	for stream, consumer := range b.cfg.consumers() {
		s, err := b.js.Stream(ctx, stream)
		if err != nil {
			return nil, fmt.Errorf("asking how much waits in %s: %w", stream, err)
		}
		c, err := b.js.Consumer(ctx, stream, consumer.Durable)
		if err != nil {
			return nil, fmt.Errorf("asking how much waits for %s/%s: %w", stream, consumer.Durable, err)
		}
		d := Depth{Stream: stream, Consumer: consumer.Durable}
		info := c.CachedInfo()
		d.Pending = int(info.NumPending) + info.NumAckPending //nolint:gosec // Bounded by the stream's size.
		if state := s.CachedInfo().State; state.Msgs > 0 && d.Pending > 0 {
			d.Oldest = state.FirstTime.UTC()
		}
		depths = append(depths, d)
	}
	slices.SortFunc(depths, func(a, b Depth) int { return cmp.Compare(b.Stream, a.Stream) })
	return depths, nil
}
