package graph

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// lane is what calls share a limit: a mailbox, or a tenant's subscriptions, its directory, its batches.
type lane struct {
	tenant string
	// service is empty for a mailbox, and then mailbox is its owner.
	service service
	mailbox string
}

// service is a part of Graph that is throttled by the tenant.
type service string

const (
	serviceSubscriptions service = "subscriptions"
	serviceUsers         service = "users"
	serviceBatch         service = "batch"
)

func serviceLane(tenant string, s service) lane {
	return lane{tenant: strings.ToLower(tenant), service: s}
}

func mailboxLane(mb Mailbox) lane {
	return lane{tenant: strings.ToLower(mb.Tenant), mailbox: strings.ToLower(mb.User)}
}

func (l lane) isMailbox() bool { return l.service == "" }

// gate keeps the number of calls under way within bounds, for the process and for each lane, and keeps calls away from a
// lane that was told to wait. It forgets lanes that nobody uses.
type gate struct {
	all        *semaphore.Weighted
	capacity   int64
	perMailbox int64

	mu    sync.Mutex
	lanes map[lane]*laneState
	// sweepAt is the size at which waits that have passed are looked for: each sweep is paid for by as many insertions.
	sweepAt int
}

type laneState struct {
	// slots is nil for lanes without a bound of their own.
	slots *semaphore.Weighted
	// users counts calls that hold or want a slot.
	users int
	// until is when the lane may be used again.
	until time.Time
}

const smallestSweep = 256

func newGate(capacity, perMailbox int) *gate {
	return &gate{
		all:        semaphore.NewWeighted(int64(capacity)),
		capacity:   int64(capacity),
		perMailbox: int64(perMailbox),
		lanes:      make(map[lane]*laneState),
		sweepAt:    smallestSweep,
	}
}

// enter waits for a turn in the lane and in the process and gives the function that ends it. A lane that was told to wait
// is not waited for: the error is KindThrottled with what is left of the wait.
func (g *gate) enter(ctx context.Context, op operation, l lane) (leave func(), err error) {
	s, err := g.join(op, l)
	if err != nil {
		return nil, err
	}
	if s.slots != nil {
		// The lane before the process: whoever waits for a busy mailbox holds no slot that others could use.
		if err := s.slots.Acquire(ctx, 1); err != nil {
			g.part(l, s)
			return nil, ended(ctx, op)
		}
		if err := g.stillOpen(op, s); err != nil {
			s.slots.Release(1)
			g.part(l, s)
			return nil, err
		}
	}
	if err := g.all.Acquire(ctx, 1); err != nil {
		if s.slots != nil {
			s.slots.Release(1)
		}
		g.part(l, s)
		return nil, ended(ctx, op)
	}
	return func() {
		g.all.Release(1)
		if s.slots != nil {
			s.slots.Release(1)
		}
		g.part(l, s)
	}, nil
}

// laneLocked is the state of the lane, made on first use. The caller holds mu.
func (g *gate) laneLocked(l lane) *laneState {
	s := g.lanes[l]
	if s == nil {
		s = &laneState{}
		if l.isMailbox() {
			s.slots = semaphore.NewWeighted(g.perMailbox)
		}
		g.lanes[l] = s
		g.sweepLocked()
	}
	return s
}

// join counts one more user of the lane, or refuses when it was told to wait.
func (g *gate) join(op operation, l lane) (*laneState, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.laneLocked(l)
	if err := waiting(op, s.until); err != nil {
		return nil, err
	}
	s.users++
	return s, nil
}

func (g *gate) stillOpen(op operation, s *laneState) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return waiting(op, s.until)
}

// part counts one user less and forgets the lane when it was the last.
func (g *gate) part(l lane, s *laneState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.users--
	if s.users == 0 && !time.Now().Before(s.until) {
		delete(g.lanes, l)
	}
}

// pause keeps calls away from the lane for as long as it was told. A shorter wait never cuts a longer one.
func (g *gate) pause(l lane, wait time.Duration) {
	if wait <= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.laneLocked(l)
	if until := time.Now().Add(wait); until.After(s.until) {
		s.until = until
	}
}

// sweepLocked forgets the lanes whose wait has passed and that nobody uses, each time the map has doubled.
func (g *gate) sweepLocked() {
	if len(g.lanes) < g.sweepAt {
		return
	}
	now := time.Now()
	for l, s := range g.lanes {
		if s.users == 0 && !now.Before(s.until) {
			delete(g.lanes, l)
		}
	}
	g.sweepAt = max(smallestSweep, 2*len(g.lanes))
}

func waiting(op operation, until time.Time) error {
	left := time.Until(until)
	if left <= 0 {
		return nil
	}
	return &Error{Kind: KindThrottled, Reason: ReasonThrottled, RetryAfter: left, Operation: string(op)}
}

// ended is the error of a call whose caller stopped waiting for its turn.
func ended(ctx context.Context, op operation) error {
	return &Error{Kind: KindUnavailable, Reason: endReason(ctx), Operation: string(op), cause: ctx.Err()}
}
