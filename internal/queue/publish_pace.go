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
	paceAge = 10 * time.Second
	// A measurement takes as many messages as fill paceTime, because what else the machine does would drown out a shorter one;
	// paceBurst the first time, and never fewer than paceLeast or more than serverMaxBatch.
	paceTime  = 20 * time.Millisecond
	paceBurst = 64
	paceLeast = 16
	// paceFirst is how many measurements are made one soon after the other at first.
	paceFirst = 3
	// What an atomic batch costs before one has been seen, and what each message adds to it.
	paceBatch   = 3 * time.Millisecond
	paceMessage = 20 * time.Microsecond
	// paceLead is by how much a batch must be the cheaper way: single messages are confirmed sooner when load falls.
	paceLead = 1.1
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
//	1.1 × (fixed + n × 20 µs) / 2 < n × gap
//
// The gap is seen wherever a backlog of single messages is worked off, and measured every ten seconds of load by a burst of
// them with nothing else under way; the fixed time is learned from every batch and otherwise tends to 3 ms, so that a disk that once was slow gets another chance.
type pace struct {
	mu       sync.Mutex
	gap      time.Duration // zero before the first measurement
	way      time.Duration
	measured time.Time
	count    int
	fixed    time.Duration
}

// plan chooses the way while open hints are open.
func (p *pace) plan(open int, now time.Time) pacePlan {
	if open < paceFloor {
		return planSingles
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.measured) > paceAge {
		// Whatever comes of it, the next try is not before its time.
		if p.measured = now; p.count < paceFirst {
			p.measured = now.Add(watchEvery - paceAge)
		}
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

// sample is how many messages a measurement takes: fewer where each of them takes its time.
func (p *pace) sample() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap == 0 {
		return paceBurst
	}
	return int(min(max(paceTime/p.gap, paceLeast), serverMaxBatch))
}

// singles notes a measurement: how long one message took, and how long the others did that followed in one go.
func (p *pace) singles(one time.Duration, others int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What the way there and back takes must not be charged to the messages. The shortest time seen is nearest to it; it may
	// grow again, when the way has become longer.
	if p.way == 0 || one < p.way {
		p.way = one
	} else {
		p.way += p.way / 4
	}
	// Half of the time is the messages' at least: a way that was slow by chance must not make them look free.
	gap := (took - min(p.way, took/2)) / time.Duration(max(others-1, 1))
	if p.gap != 0 {
		gap = (p.gap + gap) / 2 // one odd measurement shouldn't decide alone
	}
	p.gap = max(gap, 1)
	p.count++
	p.fixed += (paceBatch - p.fixed) / 2
}

// flow notes how many single messages were confirmed in a time throughout which more of them waited.
func (p *pace) flow(messages int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gap := took / time.Duration(max(messages, 1))
	p.gap = max((p.gap+gap)/2, 1)
}

// batch notes a batch of so many messages and the time from its first message to its confirmation. One that was held up by
// something else must not count for more than it is.
func (p *pace) batch(messages int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := took - time.Duration(messages)*paceMessage
	p.fixed += (min(max(seen, 0), 4*p.fixed) - p.fixed) / 8
}
