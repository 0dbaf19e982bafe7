package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// The sweep's sizes: sessions claimed at once, sessions in hand for one tenant and for all, and how many a second of those
// that have to wait come again.
const (
	sweepClaim = 200
	sweepWidth = 400
	sweepMost  = 8000
	sweepPace  = 200
)

// sweepLook is the longest time that the sweep goes without looking: hints make sessions due again without a signal, and
// signals get lost. It is a tenth of SweepInterval where that is shorter.
const (
	sweepLook    = 30 * time.Second
	sweepLookMin = 50 * time.Millisecond
)

// directory is the part of Graph that only the sweep needs; *graph.Client is one.
type directory interface {
	Events(ctx context.Context, tenant string, refs []graph.EventRef) []graph.Result
	User(ctx context.Context, tenant, email string) (id string, err error)
}

// sweep verifies due sessions against Outlook.
type sweep struct {
	cfg       Config
	store     *model.Store
	directory directory
	ledger    *ledger
	reader    *reader
	gate      *gate
	wards     *wards
	metrics   *metrics
	log       *slog.Logger
	// wake is filled when something may have become due.
	wake chan struct{}

	lanes   *lanes
	running sync.WaitGroup
	// freed is filled when room was given back.
	freed chan struct{}
}

// Run claims what is due until ctx ends, and then ends what is in hand: its lease lapses, and another sweep takes it.
func (s *sweep) Run(ctx context.Context) error {
	defer s.running.Wait()
	failures := 0
	for {
		more, err := s.claim(ctx)
		var wait time.Duration
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures++
			wait = backoff(failures, s.cfg.RetryMin, s.cfg.RetryMax)
			s.log.WarnContext(ctx, "the sweep is interrupted", slog.String("error", err.Error()), slog.Duration("wait", wait))
			if pause(ctx, wait) != nil {
				return nil
			}
			continue
		case !more:
			wait = s.untilDue(ctx)
		}
		failures = 0
		if !s.rest(ctx, wait) {
			return nil
		}
	}
}

// rest waits until there may be something to do and says false when ctx ended.
func (s *sweep) rest(ctx context.Context, wait time.Duration) bool {
	for s.lanes.free(sweepMost) <= 0 {
		select {
		case <-s.freed:
		case <-ctx.Done():
			return false
		}
	}
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-s.wake:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// untilDue is how long nothing will be due. The shortest answer is not zero: our clock and the database's may disagree.
func (s *sweep) untilDue(ctx context.Context) time.Duration {
	longest := max(min(sweepLook, s.cfg.SweepInterval/10), sweepLookMin)
	due, some, err := s.store.NextDue(ctx)
	if err != nil || !some {
		return longest
	}
	return min(max(time.Until(due), sweepLookMin), longest)
}

// claim takes what is due in hand and says whether there may be more.
func (s *sweep) claim(ctx context.Context) (more bool, err error) {
	due, err := s.store.ClaimDue(ctx, sweepClaim, s.cfg.Lease)
	if err != nil {
		return false, fmt.Errorf("claiming due sessions: %w", err)
	}
	for _, part := range byTenant(due) {
		tenant := part[0].Session.Tenant
		taken, again := s.lanes.take(tenant, len(part), part[0].Cause == model.CauseRequest, time.Now())
		if taken < len(part) {
			if err := s.postpone(ctx, part[taken:], again); err != nil {
				s.lanes.done(tenant, taken)
				return false, err
			}
		}
		if taken > 0 {
			s.start(ctx, tenant, part[:taken])
		}
	}
	return len(due) == sweepClaim, nil
}

// start verifies one tenant's sessions apart from everybody else's.
func (s *sweep) start(ctx context.Context, tenant string, due []model.Due) {
	s.running.Go(func() {
		_ = guard(ctx, s.log, func() { s.verify(ctx, tenant, due) })
		s.lanes.done(tenant, len(due))
		fill(s.freed)
		fill(s.wake) // What was read is due again, maybe sooner than what the loop waits for.
	})
}

// postpone puts sessions off as they are.
func (s *sweep) postpone(ctx context.Context, due []model.Due, at time.Time) error {
	if len(due) == 0 {
		return nil
	}
	keys := make([]model.SessionKey, len(due))
	for i, d := range due {
		keys[i] = model.SessionKey{Tenant: d.Session.Tenant, ID: d.Session.ID}
	}
	if err := s.store.PostponeVerify(ctx, keys, at); err != nil {
		return fmt.Errorf("putting off sessions: %w", err)
	}
	return nil
}

// byTenant sorts by tenant, and within a tenant those just linked apart from the others.
func byTenant(due []model.Due) [][]model.Due {
	type key struct {
		tenant string
		urgent bool
	}
	places := make(map[key]int)
	var parts [][]model.Due
	for _, d := range due {
		k := key{d.Session.Tenant, d.Cause == model.CauseRequest}
		place, ok := places[k]
		if !ok {
			place = len(parts)
			places[k] = place
			parts = append(parts, nil)
		}
		parts[place] = append(parts[place], d)
	}
	return parts
}
