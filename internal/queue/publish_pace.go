package queue

import (
	"sync"
	"time"
)

const (
	// paceFloor is the load up to which messages always go one by one: an atomic batch costs the server a store of its own,
	// whatever is in it.
	paceFloor = 8
	// paceAge is how long a measurement of single messages is trusted, and paceDoubt for how long where the two ways cost
	// about the same; there a measurement costs next to nothing.
	paceAge   = 10 * time.Second
	paceDoubt = 3 * time.Second
	// paceClear is from how many times the cost on the choice is in no doubt.
	paceClear = 3.0
	// A measurement takes paceTime, because what else the machine does would drown out a shorter one, and says nothing with
	// fewer than paceLeast messages. What is sent in it is worked off within paceDrain.
	paceTime  = 100 * time.Millisecond
	paceDrain = 50 * time.Millisecond
	paceLeast = 16
	// paceFirst is how many measurements are made one soon after the other at first.
	paceFirst = 2
	// What an atomic batch costs before one has been seen, and what each message adds to it.
	paceBatch   = 3 * time.Millisecond
	paceMessage = 20 * time.Microsecond
	// paceShare is the part of the open hints that a batch holds, before one has been seen.
	paceShare = 0.5
	// paceLead is by how much a batch must be the cheaper way: single messages are confirmed sooner when load falls.
	paceLead = 1.3
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
// little for each message; two are under way at a time. With n the part of the open hints that a batch comes to hold, the half
// of them or less, batches are chosen where
//
//	1.3 × (fixed + n × 20 µs) / 2 < n × gap
//
// The gap is seen wherever a backlog of single messages is worked off, and measured every three to ten seconds of load by sending
// nothing else for a tenth of a second; the fixed time is learned from every batch and otherwise tends to 3 ms, so that a disk that
// once was slow gets another chance.
type pace struct {
	mu       sync.Mutex
	gap      time.Duration // zero before the first measurement
	measured time.Time
	count    int
	fixed    time.Duration
	share    float64
}

// plan chooses the way while open hints are open.
func (p *pace) plan(open int, now time.Time) pacePlan {
	if open < paceFloor {
		return planSingles
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fixed == 0 {
		p.fixed, p.share = paceBatch, paceShare
	}
	n := p.share * float64(open)
	singles, batch := n*float64(p.gap), (float64(p.fixed)+n*float64(paceMessage))/2
	if now.Sub(p.measured) > p.age(singles, batch) {
		p.measured = now // whatever comes of it, the next one is not before its time
		return planMeasure
	}
	if paceLead*batch < singles {
		return planBatch
	}
	return planSingles
}

// age is how long to trust what was measured.
func (p *pace) age(singles, batch float64) time.Duration {
	switch {
	case p.count < paceFirst:
		return watchEvery
	case singles < paceClear*batch && batch < paceClear*singles:
		return paceDoubt
	}
	return paceAge
}

// paceLimit is how many messages of a measurement may be on their way at a time, after so many were answered in that time.
func paceLimit(answered int, took time.Duration) int {
	if answered < paceLeast {
		return 4 * paceLeast
	}
	return int(min(max(paceDrain*time.Duration(answered)/max(took, 1), paceLeast), serverMaxBatch))
}

// singles notes a measurement of messages that were sent on their own and confirmed within the time.
func (p *pace) singles(messages int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if messages < paceLeast {
		return // too few to tell anything: what was known holds
	}
	gap := max(took/time.Duration(messages), 1)
	if p.gap != 0 {
		gap = (p.gap + gap) / 2 // one odd measurement shouldn't decide alone
	}
	p.gap = gap
	p.count++
	p.fixed += (paceBatch - p.fixed) / 2
	p.share += (paceShare - p.share) / 2
}

// flow notes how many single messages were confirmed in a time throughout which more of them waited.
func (p *pace) flow(messages int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gap := took / time.Duration(max(messages, 1))
	p.gap = max((p.gap+gap)/2, 1)
}

// batch notes a batch of so many messages, how many hints were open then, and the time from its first message to its
// confirmation. One that was held up by something else must not count for more than it is.
func (p *pace) batch(messages, open int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := took - time.Duration(messages)*paceMessage
	p.fixed += (min(max(seen, 0), 4*p.fixed) - p.fixed) / 8
	p.share += (min(float64(messages)/float64(max(open, 1)), 1) - p.share) / 8
}
