package queue

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// delivery is one message in hand.
type delivery[T any] struct {
	key  string
	item T
	msg  *nats.Msg
	// broken says why the message can't be read; nil when it can.
	broken   error
	failures int

	// The rest is guarded by the desk's lock, since the same message may be delivered again while it is in hand.
	position position
	reply    string
	touched  time.Time
}

// lane is the messages of one key: those in work, and those that wait for them.
type lane[T any] struct {
	key     string
	waiting []*delivery[T]
	running bool
	queued  bool
}

// desk holds the messages in hand and gives them out by key, one group per key at a time.
type desk[T any] struct {
	window int

	mu sync.Mutex
	// work is signalled when a lane is ready or the desk stops.
	work    sync.Cond
	lanes   map[string]*lane[T]
	ready   []*lane[T]
	inHand  map[uint64]*delivery[T]
	stopped bool
}

func (k *desk[T]) init(window int) {
	k.window = window
	k.work.L = &k.mu
	k.lanes = make(map[string]*lane[T])
	k.inHand = make(map[uint64]*delivery[T])
}

// put takes a delivery. It returns false when the desk has stopped, so that the message has to be given back. A message that
// is in hand already only gets its newer reply subject.
func (k *desk[T]) put(d *delivery[T]) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return false
	}
	if held, ok := k.inHand[d.position.sequence]; ok {
		held.reply, held.position, held.touched = d.reply, d.position, d.touched
		return true
	}
	k.inHand[d.position.sequence] = d
	l := k.lanes[d.key]
	if l == nil {
		l = &lane[T]{key: d.key}
		k.lanes[d.key] = l
	}
	l.waiting = append(l.waiting, d)
	k.enqueue(l)
	return true
}

// enqueue puts the lane in line, once, and not while it is in work.
func (k *desk[T]) enqueue(l *lane[T]) {
	if l.running || l.queued || len(l.waiting) == 0 {
		return
	}
	l.queued = true
	k.ready = append(k.ready, l)
	k.work.Signal()
}

// next waits for the next group. It returns nil when the desk has stopped.
func (k *desk[T]) next() (l *lane[T], group []*delivery[T]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.ready) == 0 && !k.stopped {
		k.work.Wait()
	}
	if k.stopped {
		return nil, nil
	}
	l = k.ready[0]
	k.ready[0] = nil
	if k.ready = k.ready[1:]; len(k.ready) == 0 {
		k.ready = nil
	}
	group, l.waiting = l.waiting, nil
	l.queued, l.running = false, true
	return l, group
}

// finish frees the lane for what has gathered meanwhile.
func (k *desk[T]) finish(l *lane[T]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l.running = false
	if len(l.waiting) == 0 {
		delete(k.lanes, l.key)
		return
	}
	k.enqueue(l)
}

// forget takes the messages out of hand and returns where their acknowledgements go.
func (k *desk[T]) forget(group []*delivery[T]) []string {
	replies := make([]string, len(group))
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, d := range group {
		replies[i] = d.reply
		delete(k.inHand, d.position.sequence)
	}
	return replies
}

// attempt is how often the most redelivered message was delivered.
func (k *desk[T]) attempt(group []*delivery[T]) int {
	most := 0
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range group {
		most = max(most, d.position.delivered)
	}
	return most
}

// held is how many messages are in hand.
func (k *desk[T]) held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.inHand)
}

// stale returns where a sign of life is due, and takes it for given.
func (k *desk[T]) stale(since, now time.Time) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var replies []string
	for _, d := range k.inHand {
		if d.touched.Before(since) {
			d.touched = now
			replies = append(replies, d.reply)
		}
	}
	return replies
}

// stop lets nothing more in or out.
func (k *desk[T]) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	k.work.Broadcast()
}

// clear returns everything that hasn't begun.
func (k *desk[T]) clear() []*delivery[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	var left []*delivery[T]
	for _, l := range k.lanes {
		left = append(left, l.waiting...)
		l.waiting = nil
	}
	k.ready = nil
	return left
}
