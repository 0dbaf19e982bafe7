package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/queue"
)

// BenchmarkConsume hands out hints that stand in the stream already, to a handler that does nothing.
//
//	go test -run '^$' -bench Consume -benchtime 100000x ./internal/queue
func BenchmarkConsume(b *testing.B) {
	for _, perEvent := range []int{1, 10} {
		b.Run(fmt.Sprintf("hints_per_event=%d", perEvent), func(b *testing.B) {
			j := newBench(b, queue.Config{})
			for n := range b.N {
				body, err := json.Marshal(hint(fmt.Sprintf("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A%d", n/perEvent), n%1000))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := j.js.PublishAsync("pairsync.notifications.t-1.m-1", body, jetstream.WithStallWait(1e10)); err != nil {
					b.Fatal(err)
				}
			}
			<-j.js.PublishAsyncComplete()
			var handled, groups atomic.Int64
			done := make(chan struct{})
			b.ReportAllocs()
			b.ResetTimer()
			stop := j.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
				groups.Add(1)
				if handled.Add(int64(len(g.Hints))) == int64(b.N) {
					close(done)
				}
				return nil
			})
			<-done
			b.StopTimer()
			stop()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hints/s")
			b.ReportMetric(float64(b.N)/float64(groups.Load()), "hints/group")
		})
	}
}
