package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
)

func (b *bench) depths() []queue.Depth {
	b.tb.Helper()
	d, err := b.b.Depths(b.tb.Context())
	if err != nil {
		b.tb.Fatal(err)
	}
	return d
}

func TestDepths(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	nothing := []queue.Depth{
		{Stream: "PAIRSYNC_NOTIFICATIONS", Consumer: "reconcile"},
		{Stream: "PAIRSYNC_COMMANDS", Consumer: "apply"},
	}
	if diff := cmp.Diff(nothing, b.depths()); diff != "" {
		t.Errorf("of empty queues (-want +got):\n%s", diff)
	}
	before := time.Now()
	b.publish(hint("A", 0))
	after := time.Now()
	b.publish(hint("B", 0), hint("B", 1))
	// Nothing was delivered yet, and nobody is there.
	if d := b.depths()[0]; d.Pending != 3 || d.Oldest.Before(before.Add(-time.Millisecond)) || d.Oldest.After(after) {
		t.Errorf("three wait since %v .. %v: %+v", before, after, d)
	}
	// What is in hand, and what waits for a later try, waits too.
	gate := make(chan struct{})
	stop := b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
		if g.Hints[0].EventID == "B" && g.Attempt == 1 {
			return queue.RetryAfter(time.Second, errors.New("not now"))
		}
		<-gate
		return nil
	})
	b.held(1)
	if d := b.depths()[0]; d.Pending != 3 || d.Oldest.After(after) {
		t.Errorf("one in hand and two for later: %+v", d)
	}
	close(gate)
	b.empty()
	stop()
	testbed.Eventually(t, "empty depths", func(context.Context) bool { return cmp.Equal(nothing, b.depths()) })
}
