package workers

import (
	"context"
	"sync"
	"time"
)

// gatePatience is how long a call waits for a place, and mailboxPlaces how many places one mailbox may take: what the client
// lets through at once, and as many again that wait for that.
const (
	gatePatience  = 2 * time.Second
	mailboxPlaces = 6
)

// gate bounds how many calls are under way for one tenant, and for one mailbox, so that an organisation whose calls hang
// holds neither all handlers nor all calls, nor a mailbox those of its organisation. A caller waits for a place for a short
// while only; then the work should come back later.
type gate struct {
	places   int
	patience time.Duration

	mu    sync.Mutex
	doors map[door]*doorway
}

// door is a tenant's, or one of its mailboxes'.
type door struct{ tenant, mailbox string }

// doorway is what goes through one door. It exists while somebody is inside or waiting.
type doorway struct {
	slots chan struct{}
	users int
	// moved is when somebody last went in or out. A doorway that is full and hasn't moved for the gate's patience turns
	// callers away at once.
	moved time.Time
}

func newGate(places int, patience time.Duration) *gate {
	return &gate{places: places, patience: patience, doors: make(map[door]*doorway)}
}

// enter takes a place, and says false when none came free in time or ctx ended. leave must be called once if it says true.
// An empty mailbox stands for several.
func (g *gate) enter(ctx context.Context, tenant, mailbox string) (leave func(), ok bool) {
	whole := door{tenant: tenant}
	if mailbox == "" {
		if !g.pass(ctx, whole, g.places) {
			return nil, false
		}
		return func() { g.leave(whole) }, true
	}
	own := door{tenant: tenant, mailbox: mailbox}
	if !g.pass(ctx, own, mailboxPlaces) {
		return nil, false
	}
	if !g.pass(ctx, whole, g.places) {
		g.leave(own)
		return nil, false
	}
	return func() {
		g.leave(whole)
		g.leave(own)
	}, true
}

// pass goes through one door that lets so many in.
func (g *gate) pass(ctx context.Context, at door, places int) bool {
	d, free, stuck := g.approach(at, places)
	if free {
		return true
	}
	if stuck {
		g.giveUp(at, d)
		return false
	}
	t := time.NewTimer(g.patience)
	defer t.Stop()
	select {
	case d.slots <- struct{}{}:
		g.mu.Lock()
		d.moved = time.Now()
		g.mu.Unlock()
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	g.giveUp(at, d)
	return false
}

// approach takes a place if one is free, and else tells whether it is worth to wait.
func (g *gate) approach(at door, places int) (d *doorway, free, stuck bool) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	d = g.doors[at]
	if d == nil {
		d = &doorway{slots: make(chan struct{}, places), moved: now}
		g.doors[at] = d
	}
	d.users++
	select {
	case d.slots <- struct{}{}:
		d.moved = now
		return d, true, false
	default:
		return d, false, now.Sub(d.moved) > g.patience
	}
}

// leave gives a place back.
func (g *gate) leave(at door) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.doors[at]
	<-d.slots
	d.moved = now
	g.forget(at, d)
}

func (g *gate) giveUp(at door, d *doorway) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(at, d)
}

// forget drops a doorway that nobody uses.
func (g *gate) forget(at door, d *doorway) {
	if d.users--; d.users == 0 {
		delete(g.doors, at)
	}
}
