package queue

import (
	"sync"
	"time"
)

// messageKey is the identity of a hint's version: the digest behind its Nats-Msg-Id.
type messageKey [16]byte

// waiter is one hint of one Publish call.
type waiter struct {
	call  *publishCall
	index int
}

// standing is what the recent memory knows of a message.
type standing uint8

const (
	standingNew standing = iota
	standingJoined
	standingStored
)

// recent remembers which messages are on their way and which were confirmed a short while ago, so that what Graph sends again
// is answered without being published again. It holds two generations and forgets the older one when the younger is full or
// half of the time to remember has passed; forgetting costs a duplicate that JetStream or the worker finds.
type recent struct {
	size int
	keep time.Duration

	mu       sync.Mutex
	flying   map[messageKey][]waiter
	young    map[messageKey]struct{}
	old      map[messageKey]struct{}
	youngest time.Time // when young began
}

// newRecent remembers at least size messages, and none for longer than keep.
func newRecent(size int, keep time.Duration) *recent {
	return &recent{
		size: size, keep: keep,
		flying: make(map[messageKey][]waiter),
		young:  make(map[messageKey]struct{}),
	}
}

// enter tells how the message stands. After standingNew the caller must send it and call settle; after standingJoined w is among
// the waiters that settle returns to whoever sends it.
func (r *recent) enter(k messageKey, w waiter, now time.Time) standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if _, ok := r.young[k]; ok {
		return standingStored
	}
	if _, ok := r.old[k]; ok {
		return standingStored
	}
	if waiters, ok := r.flying[k]; ok {
		r.flying[k] = append(waiters, w)
		return standingJoined
	}
	r.flying[k] = nil
	return standingNew
}

// settle ends the message's flight and returns who joined it.
func (r *recent) settle(k messageKey, stored bool, now time.Time) []waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiters := r.flying[k]
	delete(r.flying, k)
	if stored {
		r.turn(now)
		r.young[k] = struct{}{}
	}
	return waiters
}

// turn begins a new generation when it is time.
func (r *recent) turn(now time.Time) {
	switch {
	case len(r.young) < r.size && now.Sub(r.youngest) < r.keep/2:
		return
	case now.Sub(r.youngest) < r.keep:
		r.old = r.young
	default:
		r.old = nil // young is too old itself
	}
	r.young, r.youngest = make(map[messageKey]struct{}), now
}
