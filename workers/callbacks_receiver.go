package workers

import (
	"time"

	"pairsync/model"
)

// receiver is what this process knows of one tenant's receiver.
type receiver struct {
	inHand int
	// failures counts the calls that failed since the last one that didn't, the first of them at failingSince.
	failures     int
	failingSince time.Time
	// wellAt is when a change was last received.
	wellAt time.Time
	// paused says that this process left the receiver alone, and has not seen it work since.
	paused bool
}

// room says how many more changes may be on their way, and to whose receivers none.
func (c *callbacks) room() (room int, busy []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for tenant, r := range c.receivers {
		if r.inHand > c.cfg.CallbackWidth/2 || r.paused && r.inHand > 0 {
			busy = append(busy, tenant)
		}
	}
	return max(callbackMost-c.inHand, 0), busy
}

func (c *callbacks) receiver(tenant string) *receiver {
	r := c.receivers[tenant]
	if r == nil {
		r = &receiver{}
		c.receivers[tenant] = r
	}
	return r
}

// take gives a change its place. One with which a receiver is tried that is left alone takes the only one.
func (c *callbacks) take(d model.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.receiver(d.Tenant)
	r.inHand++
	r.paused = r.paused || !d.PausedSince.IsZero()
	c.inHand++
}

// done gives the place back.
func (c *callbacks) done(d model.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiver(d.Tenant).inHand--
	c.inHand--
}

// well notes that a receiver took a change, and says whether it was left alone.
func (c *callbacks) well(tenant string, now time.Time) (paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.receiver(tenant)
	paused = r.paused
	r.failures, r.wellAt, r.paused = 0, now, false
	return paused
}

// ill notes that a receiver did not take a change, and says whether it is to be left alone: it said so, or calls have failed
// often enough and long enough, and none got through meanwhile. How often this change failed counts too, whoever tried it; that
// it fails where others get through does not.
func (c *callbacks) ill(d model.Delivery, gone bool, now time.Time) (hopeless bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.receiver(d.Tenant)
	if r.failures == 0 {
		r.failingSince = now
	}
	r.failures++
	enough := func(times int, since time.Time) bool {
		return times >= c.cfg.CallbackPauseAfter && now.Sub(since) >= c.cfg.CallbackPauseTime
	}
	hopeless = gone || !d.PausedSince.IsZero() || enough(r.failures, r.failingSince)
	if !d.FirstTriedAt.IsZero() && r.wellAt.Before(d.FirstTriedAt) {
		hopeless = hopeless || enough(d.Attempts+1, d.FirstTriedAt)
	}
	r.paused = r.paused || hopeless
	return hopeless
}
