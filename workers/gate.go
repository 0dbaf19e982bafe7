package workers

import (
	"context"
	"sync"
	"time"
)

// gatePatience is how long a reading waits for a place.
const gatePatience = 2 * time.Second

// gate bounds how many readings of one tenant are under way, so that an organisation whose calls hang holds neither all
// handlers nor all calls. A caller waits for a place for a short while only; then the work should come back later.
type gate struct {
	places   int
	patience time.Duration

	mu      sync.Mutex
	tenants map[string]*doorway
}

// doorway is one tenant's part of the gate. It exists while somebody is inside or waiting.
type doorway struct {
	slots chan struct{}
	users int
	// moved is when somebody last left or found a free place; a doorway that is full and hasn't moved for the gate's
	// patience turns callers away at once.
	moved time.Time
}

func newGate(places int, patience time.Duration) *gate {
	return &gate{places: places, patience: patience, tenants: make(map[string]*doorway)}
}

// enter takes a place, and says false when none came free in time or ctx ended. leave must be called once if it says true.
func (g *gate) enter(ctx context.Context, tenant string) (leave func(), ok bool) {
	d, stuck := g.acquire(tenant)
	select {
	case d.slots <- struct{}{}:
		return g.taken(tenant, d), true
	default:
	}
	if stuck {
		g.release(tenant, d)
		return nil, false
	}
	t := time.NewTimer(g.patience)
	defer t.Stop()
	select {
	case d.slots <- struct{}{}:
		return g.taken(tenant, d), true
	case <-t.C:
	case <-ctx.Done():
	}
	g.release(tenant, d)
	return nil, false
}

func (g *gate) acquire(tenant string) (d *doorway, stuck bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d = g.tenants[tenant]
	if d == nil {
		d = &doorway{slots: make(chan struct{}, g.places), moved: time.Now()}
		g.tenants[tenant] = d
	}
	d.users++
	return d, time.Since(d.moved) > g.patience
}

func (g *gate) taken(tenant string, d *doorway) func() {
	g.mu.Lock()
	d.moved = time.Now()
	g.mu.Unlock()
	return func() {
		<-d.slots
		g.mu.Lock()
		d.moved = time.Now()
		g.mu.Unlock()
		g.release(tenant, d)
	}
}

func (g *gate) release(tenant string, d *doorway) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.users--; d.users == 0 {
		delete(g.tenants, tenant)
	}
}
