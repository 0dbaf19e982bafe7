package simulator

import "sync"

// feed tells the pages that are open that something has changed.
type feed struct {
	mu     sync.Mutex
	subs   map[chan struct{}]struct{}
	closed bool
}

func newFeed() *feed { return &feed{subs: map[chan struct{}]struct{}{}} }

// listen returns a channel that gets a value after changes, and is closed when the simulator ends.
func (f *feed) listen() (ch chan struct{}, stop func()) {
	ch = make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		close(ch)
		return ch, func() {}
	}
	f.subs[ch] = struct{}{}
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, ch)
	}
}

func (f *feed) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	for ch := range f.subs {
		close(ch)
	}
	clear(f.subs)
}
