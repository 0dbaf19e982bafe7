package subscriptions

import (
	"sync"
	"time"
)

// lanes bounds how many subscriptions of one tenant are worked on at once, so that an organisation whose calls hang can't
// take every slot. Whoever finds its lane full is told when to come again; the times given out are spaced at the pace at
// which the lane gets through its work, so that even a long backlog is offered little more often than it can be taken.
type lanes struct {
	width int

	mu      sync.Mutex
	tenants map[string]*tenantLane
}

type tenantLane struct {
	inside int
	// next is the latest time that was given out.
	next time.Time
	// took is a moving average of how long one subscription takes.
	took time.Duration
}

const (
	// firstGuess is taken for how long one subscription takes before any was measured.
	firstGuess = 200 * time.Millisecond
	// slow is when a tenant's lane gets narrow: its calls hang, and each of them holds one of the slots of all. narrow is
	// how many it then has, enough to find out that it is well again.
	slow   = 5 * time.Second
	narrow = 2
	// shortestTurn keeps a full lane from being asked again at once.
	shortestTurn = 200 * time.Millisecond
)

func newLanes(width int) *lanes {
	return &lanes{width: width, tenants: make(map[string]*tenantLane)}
}

// enter takes a place in the tenant's lane and gives the function that ends it, or says when to come again.
func (l *lanes) enter(tenant string, now time.Time) (leave func(now time.Time), again time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lane := l.tenants[tenant]
	if lane == nil {
		lane = &tenantLane{took: firstGuess}
		l.tenants[tenant] = lane
	}
	width := l.width
	if lane.took >= slow {
		width = min(width, narrow)
	}
	if lane.inside >= width {
		soonest := now.Add(shortestTurn)
		if lane.next.Before(soonest) {
			lane.next = soonest
		}
		lane.next = lane.next.Add(lane.took / time.Duration(width))
		return nil, lane.next
	}
	lane.inside++
	return func(end time.Time) { l.leave(tenant, lane, end.Sub(now), end) }, time.Time{}
}

func (l *lanes) leave(tenant string, lane *tenantLane, took time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lane.inside--
	lane.took += (took - lane.took) / 8
	if lane.inside == 0 && lane.next.Before(now) && lane.took < slow {
		delete(l.tenants, tenant)
	}
}
