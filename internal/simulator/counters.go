package simulator

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
)

// Counters is what happened since the start.
type Counters struct {
	// Calls are the Graph and login calls by operation, those inside a batch too.
	Calls map[string]int `json:"calls"`
	// Answers are the same calls by operation and status, "get_event 404".
	Answers map[string]int `json:"answers"`
	// MostConcurrent is the most calls at a time that were made to one mailbox, by object id, refused ones included.
	MostConcurrent map[string]int `json:"most_concurrent"`
	// Subscriptions are those alive.
	Subscriptions int `json:"subscriptions"`
	// Notifications, Dropped, Posts, Retries, GaveUp count items made, items lost on purpose, POSTs, POSTs that were
	// repeats, and items given up after the four hours. Delivered are the items that a 2xx in time acknowledged.
	Notifications int64 `json:"notifications"`
	Dropped       int64 `json:"dropped"`
	Posts         int64 `json:"posts"`
	Retries       int64 `json:"retries"`
	Delivered     int64 `json:"delivered"`
	GaveUp        int64 `json:"gave_up"`
	// Pending are the items not yet delivered.
	Pending int64 `json:"pending"`
	// ConflictingRenewals counts renewals and reauthorizations of one subscription less than ten minutes apart, of which
	// Microsoft warns.
	ConflictingRenewals int64 `json:"conflicting_renewals"`
}

type counters struct {
	mu      sync.Mutex
	calls   map[string]int
	answers map[answerKey]int
	// unknown counts reads of event ids that do not exist.
	unknown map[string]int

	notifications, dropped, posts, retries, delivered, gaveUp, pending, conflicting atomic.Int64
}

type answerKey struct {
	op     string
	status int
}

func newCounters() *counters {
	return &counters{calls: map[string]int{}, answers: map[answerKey]int{}, unknown: map[string]int{}}
}

func (c *counters) call(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[op]++
}

func (c *counters) answer(op string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[answerKey{op, status}]++
}

// missed counts a read of an id that no mailbox has; a flood of them is not kept apart.
func (c *counters) missed(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unknown) < 10_000 {
		c.unknown[id]++
	}
}

// Counters returns what happened since the start.
func (s *Simulator) Counters() Counters {
	c := s.counts
	out := Counters{
		Answers: map[string]int{}, MostConcurrent: map[string]int{},
		Notifications: c.notifications.Load(), Dropped: c.dropped.Load(), Posts: c.posts.Load(), Retries: c.retries.Load(),
		Delivered: c.delivered.Load(), GaveUp: c.gaveUp.Load(), Pending: c.pending.Load(),
		ConflictingRenewals: c.conflicting.Load(),
	}
	c.mu.Lock()
	out.Calls = maps.Clone(c.calls)
	for k, n := range c.answers {
		out.Answers[k.op+" "+strconv.Itoa(k.status)] = n
	}
	c.mu.Unlock()
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	for id, box := range s.world.users {
		if most := box.gate.most(); most > 0 {
			out.MostConcurrent[id] = most
		}
	}
	out.Subscriptions = s.aliveLocked()
	return out
}

// Reads returns how many Graph answers showed the copy with that id (either format), or were a 404 for it.
func (s *Simulator) Reads(eventID string) int {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	if it, err := s.world.event(eventID); err == nil {
		return int(it.reads.Load())
	}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	return s.counts.unknown[eventID]
}

// gate counts the calls inside one mailbox.
type gate struct {
	mu        sync.Mutex
	now, peak int
}

// enter is false when limit calls are inside already; limit below zero never is.
func (g *gate) enter(limit int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peak = max(g.peak, g.now+1)
	if limit > 0 && g.now >= limit {
		return false
	}
	g.now++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
}

func (g *gate) most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peak
}
