package workers

import (
	"context"
	"errors"
	"sync"
	"time"
)

// gatePatience is how long a call waits for a place, and mailboxPlaces how many places one mailbox may take: what the client
// lets through at once, and as many again that wait for that.
const (
	gatePatience  = 2 * time.Second
	mailboxPlaces = 6
)

// sluggishAfter is how long a call may take before those of the same mailbox are no longer mixed with others'.
const sluggishAfter = 500 * time.Millisecond

// gate bounds how many calls are under way for one tenant, and for one mailbox, so that an organisation whose calls hang
// holds neither all handlers nor all calls, nor a mailbox those of its organisation. A caller waits for a place for a short
// while only; then the work should come back later.
type gate struct {
	// places are a tenant's for calls of one event each, and vans those for batches.
	places   int
	vans     int
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

// newGate divides a tenant's places between calls and batches.
func newGate(places int, patience time.Duration) *gate {
	vans := places / vanShare
	return &gate{places: places - vans*vanWeight, vans: vans, patience: patience, doors: make(map[door]*doorway)}
}

// errCrowded says that a tenant has as many calls under way as it may and none of them ends.
var errCrowded = errors.New("too many calls under way for the tenant")

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

// try takes a place of a door if one is free.
func (g *gate) try(at door, places int) bool {
	d, free, _ := g.approach(at, places)
	if !free {
		g.giveUp(at, d)
	}
	return free
}

// sluggish says that somebody is inside who has been there for a while.
func (g *gate) sluggish(at door) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.doors[at]
	return d != nil && time.Since(d.moved) > sluggishAfter
}

// either waits for a place of one of two doors, or until none is needed any more, for as long as the gate's patience. got is
// the door that let somebody in, if one did.
func (g *gate) either(ctx context.Context, first, second door, firstPlaces, secondPlaces int, needless <-chan struct{}) (got door, ok bool) {
	a, free, aStuck := g.approach(first, firstPlaces)
	if free {
		return first, true
	}
	b, free, bStuck := g.approach(second, secondPlaces)
	if free {
		g.giveUp(first, a)
		return second, true
	}
	if aStuck && bStuck {
		g.giveUp(first, a)
		g.giveUp(second, b)
		return door{}, false
	}
	t := time.NewTimer(g.patience)
	defer t.Stop()
	select {
	case a.slots <- struct{}{}:
		got, ok = first, true
	case b.slots <- struct{}{}:
		got, ok = second, true
	case <-needless:
	case <-t.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if got != first || !ok {
		g.forget(first, a)
	} else {
		a.moved = time.Now()
	}
	if got != second || !ok {
		g.forget(second, b)
	} else {
		b.moved = time.Now()
	}
	return got, ok
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
