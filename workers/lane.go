package workers

import (
	"sync"
	"time"
)

// lanes keep the sweeps of tenants apart: each has a bounded number of sessions in hand, and what is over that is put off,
// so that a tenant whose calls hang, or one with a hundred thousand sessions due at once, keeps nobody else waiting.
type lanes struct {
	// width is how many sessions of one tenant may be in hand; those just linked may take as many again.
	width int
	// pace is how many sessions a second what is put off is spread over.
	pace int

	mu      sync.Mutex
	tenants map[string]*lane
	inHand  int
}

// lane is one tenant's part.
type lane struct {
	inHand int
	// horizon is up to when sessions were put off.
	horizon time.Time
	// failures counts the batches in a row that failed as a whole.
	failures int
}

func newLanes(width, pace int) *lanes {
	return &lanes{width: width, pace: pace, tenants: make(map[string]*lane)}
}

// take gives room to up to n sessions and says how many got it, and when the others should come again. urgent are those
// whose linking somebody waits for.
func (l *lanes) take(tenant string, n int, urgent bool, now time.Time) (taken int, again time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenants[tenant]
	if t == nil {
		t = &lane{}
		l.tenants[tenant] = t
	}
	width := l.width
	if urgent {
		width *= 2
	}
	taken = min(n, max(width-t.inHand, 0))
	t.inHand += taken
	l.inHand += taken
	if over := n - taken; over > 0 {
		t.horizon = later(t.horizon, now.Add(time.Second)).Add(time.Duration(over) * time.Second / time.Duration(l.pace))
		again = t.horizon
	}
	return taken, again
}

// done gives the room of n sessions back.
func (l *lanes) done(tenant string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenants[tenant]
	t.inHand -= n
	l.inHand -= n
	if t.inHand == 0 && t.failures == 0 && !t.horizon.After(time.Now()) {
		delete(l.tenants, tenant)
	}
}

// outcome notes whether a batch of the tenant got through and gives the number of failures in a row.
func (l *lanes) outcome(tenant string, ok bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenants[tenant]
	if t == nil {
		return 0
	}
	if ok {
		t.failures = 0
	} else {
		t.failures++
	}
	return t.failures
}

// free is how many more sessions may be taken in hand when all tenants together may have most.
func (l *lanes) free(most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return most - l.inHand
}
