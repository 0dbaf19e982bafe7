package queue

import (
	"sync"
	"time"
)

const (
	// paceFloor is the load up to which messages always go one by one: an atomic batch costs the server a store of its own,
	// whatever is in it.
	paceFloor = 8
	// paceAge is how long a measurement of single messages is trusted.
	paceAge = 5 * time.Second
	// A measurement takes paceBurst messages, and with fewer than paceLeast there is none.
	paceBurst = 64
	paceLeast = 16
	// What an atomic batch costs before one has been seen, and what each message adds to it.
	paceBatch   = 3 * time.Millisecond
	paceMessage = 20 * time.Microsecond
	// paceLead is by how much a batch must be the cheaper way: single messages are confirmed sooner when load falls.
	paceLead = 1.25
)

// pacePlan is a way to send.
type pacePlan uint8

const (
	planSingles pacePlan = iota
	planBatch
	// planMeasure is planSingles with nothing else under way, so that what a message costs can be seen.
	planMeasure
)

// pace chooses between atomic batches and single messages by what they cost here. A client can't read whether the server syncs
// every write, and knowing would not be enough: how long a sync takes differs a hundredfold between disks.
//
// Single messages go through the stream one after another, so n of them take n times the gap between two confirmations, which
// is a sync where every write is synced. A batch takes a fixed time (it has a store of its own, and is synced once) and a
// little for each message; two are under way at a time. With n the half of the hints that are open, since a batch collects what
// comes while the other one is written, batches are chosen where
//
//	1.25 × (fixed + n × 20 µs) / 2 < n × gap
//
// The gap is measured every five seconds of load, with at most 64 messages and nothing else under way; the fixed time is learned from every batch and otherwise tends to 3 ms, so that a disk that once was slow gets another chance.
type pace struct {
	mu       sync.Mutex
	gap      time.Duration
	measured time.Time // zero before the first measurement
	fixed    time.Duration
}

// plan chooses the way while open hints are open.
func (p *pace) plan(open int, now time.Time) pacePlan {
	if open < paceFloor {
		return planSingles
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.measured.IsZero() || now.Sub(p.measured) > paceAge {
		// Whatever comes of it, the next try is not before its time.
		p.measured = now
		return planMeasure
	}
	n := float64(open) / 2
	if p.fixed == 0 {
		p.fixed = paceBatch
	}
	batch := (float64(p.fixed) + n*float64(paceMessage)) / 2
	if paceLead*batch < n*float64(p.gap) {
		return planBatch
	}
	return planSingles
}

// tooFew notes that a measurement had too few messages to tell anything: it is tried again soon, and meanwhile what was known
// holds.
func (p *pace) tooFew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.measured = p.measured.Add(watchEvery - paceAge)
}

// singles notes what a message was measured to cost that is sent on its own.
func (p *pace) singles(gap time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap = max(gap, 0)
	p.fixed += (paceBatch - p.fixed) / 2
}

// batch notes a batch of so many messages and the time from its first message to its confirmation. One that was held up by
// something else must not count for more than it is.
func (p *pace) batch(messages int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := took - time.Duration(messages)*paceMessage
	p.fixed += (min(max(seen, 0), 4*p.fixed) - p.fixed) / 8
}
