package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// doubtSlack is how long after the last second look the sweep takes over, should this process not get to it.
const doubtSlack = 10 * time.Second

// maxSecond is how many events may wait for a second look; more are left to the sweep, which comes soon for them too.
const maxSecond = 10_000

// again is an event whose reading is in doubt.
type again struct {
	mailbox  graph.Mailbox
	event    string
	hints    []model.Hint
	sessions []model.Session
	doubt    doubt
}

// second looks a second time at what may have been read from a copy that lags behind. The group of hints is done by then,
// so that newer hints of the event don't wait for it. The commit of a doubted reading makes its session due soon: if this
// process ends before the second look, the sweep of another takes it.
type second struct {
	after []time.Duration
	// now looks once more and tells what is still in doubt. last says that there will be no further look.
	now func(ctx context.Context, a again, last bool) (again, error)
	log *slog.Logger

	mu      sync.Mutex
	pending map[string]*plan
	running sync.WaitGroup
	closed  bool
}

// plan is a second look that has not been taken.
type plan struct{ cancel context.CancelFunc }

func newSecond(after []time.Duration, log *slog.Logger) *second {
	return &second{after: after, log: log, pending: make(map[string]*plan)}
}

// takes is how long all looks take, but for the reading itself.
func (s *second) takes() time.Duration {
	var sum time.Duration
	for _, d := range s.after {
		sum += d
	}
	return sum
}

// Run ends with ctx, and ends all looks that are planned.
func (s *second) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	for _, p := range s.pending {
		p.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// look plans the looks at one event. A newer plan for an event replaces the older: it sees what that would have seen.
func (s *second) look(ctx context.Context, a again) {
	key := a.mailbox.Tenant + "\x00" + a.mailbox.User + "\x00" + a.event
	s.mu.Lock()
	defer s.mu.Unlock()
	older, replaces := s.pending[key]
	if s.closed || !replaces && len(s.pending) >= maxSecond {
		return
	}
	if replaces {
		older.cancel()
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	mine := &plan{cancel: cancel}
	s.pending[key] = mine
	s.running.Go(func() {
		defer cancel()
		_ = guard(ctx, s.log, func() { s.looks(ctx, a) })
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pending[key] == mine {
			delete(s.pending, key)
		}
	})
}

// looks reads after each pause until nothing is in doubt. One look is enough when the newest hint was explained.
func (s *second) looks(ctx context.Context, a again) {
	for i, d := range s.after {
		if pause(ctx, d) != nil {
			return
		}
		last := a.doubt == doubtWeak || i == len(s.after)-1
		var err error
		if a, err = s.now(ctx, a, last); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.log.DebugContext(ctx, "a second look failed and is left to the sweep", slog.String("error", err.Error()))
			return
		}
		if last || a.doubt == doubtNone {
			return
		}
	}
}
