package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"pairsync/bench/reconcile/rig"
	"pairsync/internal/queue"
	"pairsync/model"
)

// fill publishes one notification for each session.
func fill(ctx context.Context, s *rig.Stage, messages int) error {
	p := s.Broker.NewPublisher(queue.PublisherConfig{})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	var hints []model.Hint
	for n := range messages {
		hints = append(hints, s.Hint(n))
		if len(hints) == 500 || n == messages-1 {
			confirmed, err := p.Publish(ctx, hints)
			if err != nil {
				stop()
				return errors.Join(err, <-ended)
			}
			for _, c := range confirmed {
				if c != model.Stored {
					stop()
					return errors.Join(fmt.Errorf("a notification was not stored but %d", c), <-ended)
				}
			}
			hints = hints[:0]
		}
	}
	stop()
	return <-ended
}

// cpuTime is what this process and its ended children have used.
func cpuTime() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}

func median(rates []float64) float64 {
	sorted := slices.Sorted(slices.Values(rates))
	return sorted[len(sorted)/2]
}
