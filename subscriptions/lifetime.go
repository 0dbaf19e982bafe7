package subscriptions

import (
	"sync/atomic"
	"time"
)

// fallbackLifetime is asked for when Graph refused more and named no figure: a little below the ceiling that held for
// years. https://learn.microsoft.com/graph/api/resources/subscription
const fallbackLifetime = 4200 * time.Minute

// ceiling remembers, for as long as the process lives, the longest life that Graph has said it grants.
type ceiling struct {
	// learned is in nanoseconds; 0 means nothing yet.
	learned atomic.Int64
}

// clamp is the life to ask for.
func (c *ceiling) clamp(want time.Duration) time.Duration {
	if learned := time.Duration(c.learned.Load()); learned > 0 {
		return min(want, learned)
	}
	return want
}

// refused learns from a refusal of asked; allowed is what Graph named, 0 when it didn't. A little less than allowed is
// remembered, since Graph's clock need not be ours.
func (c *ceiling) refused(asked, allowed time.Duration) {
	next := allowed - min(allowed/20, 5*time.Minute)
	switch {
	case allowed > 0 && next < asked:
	case asked > fallbackLifetime:
		next = fallbackLifetime
	default:
		next = asked / 2
	}
	for {
		known := c.learned.Load()
		if known > 0 && known <= int64(next) || c.learned.CompareAndSwap(known, int64(next)) {
			return
		}
	}
}
