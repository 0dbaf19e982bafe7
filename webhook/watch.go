package webhook

import (
	"sync"
	"time"
)

// Graph judges an endpoint by its answers of the last ten minutes: it slows down when more than 10 % took over 3 s, and drops
// notifications when more than 15 % took over 10 s.
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
const (
	slowAnswer    = 3 * time.Second
	overdueAnswer = 10 * time.Second
	watchWindow   = 10 * time.Minute
	watchSlots    = 60
	watchSlot     = watchWindow / watchSlots
)

// watch sees our own answer times as Graph sees them, so that slowness shows before notifications are gone. It counts into
// slots of ten seconds: a few words of memory and one short lock an answer, whatever the traffic.
type watch struct {
	now   func() time.Time
	mu    sync.Mutex
	slots [watchSlots]watchCount
}

type watchCount struct {
	slot          int64 // number since 1970; a slot with another number is of an earlier round
	all           uint64
	slow, overdue uint64
}

func newWatch(now func() time.Time) *watch { return &watch{now: now} }

func (w *watch) answered(took time.Duration) {
	n := w.now().UnixNano() / int64(watchSlot)
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &w.slots[n%watchSlots]
	if c.slot != n {
		*c = watchCount{slot: n}
	}
	c.all++
	if took > slowAnswer {
		c.slow++
	}
	if took > overdueAnswer {
		c.overdue++
	}
}

// share is the share of the answers of the last ten minutes that took longer than over, which is slowAnswer or overdueAnswer; 0
// when there were none.
func (w *watch) share(over time.Duration) float64 {
	oldest := w.now().UnixNano()/int64(watchSlot) - watchSlots
	w.mu.Lock()
	defer w.mu.Unlock()
	var all, late uint64
	for i := range w.slots {
		c := &w.slots[i]
		if c.slot <= oldest {
			continue
		}
		all += c.all
		if over == overdueAnswer {
			late += c.overdue
		} else {
			late += c.slow
		}
	}
	if all == 0 {
		return 0
	}
	return float64(late) / float64(all)
}
