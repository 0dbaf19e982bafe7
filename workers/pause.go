package workers

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause waits for d and gives the context's error if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff doubles from shortest to longest with the attempts, the first being 1, and takes off up to half at random, so
// that what failed together does not come back together.
func backoff(attempt int, shortest, longest time.Duration) time.Duration {
	d := shortest
	for range min(max(attempt, 1)-1, 32) {
		if d >= longest {
			break
		}
		d *= 2
	}
	d = min(d, longest)
	return d/2 + rand.N(d/2+1)
}

// jitter adds up to a tenth to d.
func jitter(d time.Duration) time.Duration {
	return max(d, 0) + rand.N(max(d, 0)/10+time.Millisecond)
}
