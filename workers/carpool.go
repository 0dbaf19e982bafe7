package workers

import (
	"context"
	"slices"
	"sync"
	"time"

	"pairsync/internal/graph"
)

// vanShare is what part of a tenant's places is kept for batches: one in vanShare, of which each stands for the vanWeight
// calls that Graph feeds a batch to Outlook at once.
const (
	vanShare  = 8
	vanWeight = 4
)

// vanTimeout ends a batch that hangs, so that one slow mailbox holds up those it rides with for that long at most.
const vanTimeout = 5 * time.Second

// vans names the door of a tenant's batches, which no mailbox can have.
const vans = "/$batch"

// batches reads many events at once; *graph.Client is one.
type batches interface {
	Events(ctx context.Context, tenant string, refs []graph.EventRef) []graph.Result
}

// carpool reads single events. While a tenant has places left, each is read by itself, which is fastest; those that would
// have to wait share what comes free, twenty in one call. It never waits for company. A batch counts as much against the
// tenant's places as Graph makes of it, so that others get no less by it; what it saves is the time that a call costs us.
type carpool struct {
	calendar calendar
	batches  batches
	gate     *gate

	mu      sync.Mutex
	waiting map[string][]*rider
}

// rider is a reading that waits for a place.
type rider struct {
	ref graph.EventRef
	// taken is closed when somebody takes the reading along, so that it leaves the line.
	taken chan struct{}
	// result is set when done is closed.
	result graph.Result
	done   chan struct{}
}

func newCarpool(c calendar, b batches, g *gate) *carpool {
	return &carpool{calendar: c, batches: b, gate: g, waiting: make(map[string][]*rider)}
}

// event reads one event within the bounds of its mailbox and its tenant.
func (c *carpool) event(ctx context.Context, mb graph.Mailbox, id string) (graph.Event, error) {
	ctx, span := startSpan(ctx, "read")
	defer span.End()
	own := door{tenant: mb.Tenant, mailbox: mb.User}
	alone := c.gate.vans == 0 || c.gate.sluggish(own)
	if !c.gate.pass(ctx, own, mailboxPlaces) {
		return graph.Event{}, crowded(ctx)
	}
	defer c.gate.leave(own)
	ev, err := c.read(ctx, mb, id, alone)
	if err != nil && graph.KindOf(err) != graph.KindNotFound {
		span.RecordError(err)
	}
	return ev, err
}

func (c *carpool) read(ctx context.Context, mb graph.Mailbox, id string, alone bool) (graph.Event, error) {
	single, van := door{tenant: mb.Tenant}, door{tenant: mb.Tenant, mailbox: vans}
	if free := c.gate.try(single, c.gate.places); free || alone {
		if !free && !c.gate.pass(ctx, single, c.gate.places) {
			return graph.Event{}, crowded(ctx)
		}
		defer c.gate.leave(single)
		return c.calendar.Event(ctx, mb, id)
	}
	r := c.wait(graph.EventRef{Mailbox: mb, ID: id})
	got, ok := c.gate.either(ctx, single, van, c.gate.places, c.gate.vans, r.taken)
	room := 1
	if got == van {
		room = graphBatch
	}
	riders := c.board(r, room)
	if ok && len(riders) > 0 {
		defer c.gate.leave(got)
		if len(riders) == 1 {
			return c.calendar.Event(ctx, mb, id)
		}
		c.drive(ctx, riders)
		return r.arrive(ctx)
	}
	if ok {
		c.gate.leave(got) // At once: who rides with others takes no place of its own.
	}
	if len(riders) > 0 {
		return graph.Event{}, crowded(ctx)
	}
	return r.arrive(ctx)
}

// wait puts a reading among those that wait for a place of their tenant.
func (c *carpool) wait(ref graph.EventRef) *rider {
	r := &rider{ref: ref, taken: make(chan struct{}), done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[ref.Mailbox.Tenant] = append(c.waiting[ref.Mailbox.Tenant], r)
	return r
}

// board takes a reading and, with room for more, the longest waiting others out of those that wait. It takes none when
// somebody has taken the reading along already.
func (c *carpool) board(r *rider, room int) []*rider {
	tenant := r.ref.Mailbox.Tenant
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.waiting[tenant]
	i := slices.Index(waiting, r)
	if i < 0 {
		return nil
	}
	waiting = slices.Delete(waiting, i, i+1)
	if len(waiting) < graphBatch {
		room = min(room, vanWeight) // More would take Graph longer, and the rest needn't wait long.
	}
	n := min(room-1, len(waiting))
	riders := append([]*rider{r}, waiting[:n]...)
	for _, other := range waiting[:n] {
		close(other.taken)
	}
	if waiting = slices.Delete(waiting, 0, n); len(waiting) == 0 {
		delete(c.waiting, tenant)
	} else {
		c.waiting[tenant] = waiting
	}
	return riders
}

// drive reads the events of all riders in one call, which doesn't end with the context of the one who makes it.
func (c *carpool) drive(ctx context.Context, riders []*rider) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), vanTimeout)
	defer cancel()
	refs := make([]graph.EventRef, len(riders))
	for i, r := range riders {
		refs[i] = r.ref
		r.result.Err = errPanicked // Unless the call returns.
		defer close(r.done)
	}
	for i, result := range c.batches.Events(ctx, refs[0].Mailbox.Tenant, refs) {
		riders[i].result = result
	}
}

// arrive waits for the result of a reading that is under way with others.
func (r *rider) arrive(ctx context.Context) (graph.Event, error) {
	select {
	case <-r.done:
		return r.result.Event, r.result.Err
	case <-ctx.Done():
		return graph.Event{}, ctx.Err()
	}
}

// crowded is why somebody got no place.
func crowded(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errCrowded
}
