package workers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/model"
)

// graphBatch is how many calls Graph takes in one $batch, and sweepBatches how many of those a part of a sweep has under
// way at once.
const (
	graphBatch   = 20
	sweepBatches = 4
)

// verify reads the sessions of one tenant and commits what differs. Trouble is put in its place, per session, mailbox
// or tenant, and never returned: whatever is not settled comes again when its lease lapses.
func (s *sweep) verify(ctx context.Context, tenant string, due []model.Due) {
	ctx, span := startTrace(ctx, "sweep", attribute.Int("sessions", len(due)))
	defer span.End()
	due = s.resolve(ctx, tenant, due)
	first, held := probes(due)
	up := s.readAll(ctx, tenant, first)
	var rest []model.Due
	for _, d := range held {
		// The others of a mailbox that is still down were put off together with its probe.
		if up[d.Session.Organizer] {
			rest = append(rest, d)
		}
	}
	s.readAll(ctx, tenant, rest)
}

// probes gives one session of each mailbox that is down, and all of the others; held are the rest of the former.
func probes(due []model.Due) (first, held []model.Due) {
	probed := make(map[string]bool)
	for _, d := range due {
		if d.Session.State != model.OutlookUnreachable {
			first = append(first, d)
			continue
		}
		if probed[d.Session.Organizer] {
			held = append(held, d)
			continue
		}
		probed[d.Session.Organizer] = true
		first = append(first, d)
	}
	return first, held
}

// resolve finds the mailboxes of organizers whose address was not resolved yet, and leaves out sessions for which that
// failed.
func (s *sweep) resolve(ctx context.Context, tenant string, due []model.Due) []model.Due {
	var mu sync.Mutex
	ids := make(map[string]string)
	missing := make(map[string]model.Due)
	for _, d := range due {
		if d.MailboxID == "" {
			missing[d.Session.Organizer] = d
		}
	}
	var work errgroup.Group
	work.SetLimit(graphBatch)
	for organizer, d := range missing {
		work.Go(func() error {
			if id, ok := s.mailboxID(ctx, tenant, d, due); ok {
				mu.Lock()
				ids[organizer] = id
				mu.Unlock()
			}
			return nil
		})
	}
	_ = work.Wait() // the functions give no error
	known := due[:0:0]
	for _, d := range due {
		if d.MailboxID == "" {
			d.MailboxID = ids[d.Session.Organizer]
		}
		if d.MailboxID != "" {
			known = append(known, d)
		}
	}
	return known
}

// mailboxID asks Graph whose mailbox an address is and stores the answer.
func (s *sweep) mailboxID(ctx context.Context, tenant string, d model.Due, due []model.Due) (string, bool) {
	id, err := through(ctx, s.gate, graph.Mailbox{Tenant: tenant}, func(ctx context.Context) (string, error) {
		return s.directory.User(ctx, tenant, d.Email)
	})
	if err == nil {
		if err = s.store.SetMailboxID(ctx, tenant, d.Session.Organizer, id); err == nil {
			return id, true
		}
		s.interrupted(ctx, err)
		return "", false
	}
	var own []model.Due
	for _, other := range due {
		if other.Session.Organizer == d.Session.Organizer {
			own = append(own, other)
		}
	}
	if graph.KindOf(err) == graph.KindNotFound {
		err = &graph.Error{Kind: graph.KindMailbox, Reason: graph.ReasonUserNotFound, Operation: "user"}
	}
	s.failed(ctx, tenant, own, err)
	return "", false
}

// readAll reads sessions in batches side by side and says which organizers' mailboxes could be read.
func (s *sweep) readAll(ctx context.Context, tenant string, due []model.Due) map[string]bool {
	var mu sync.Mutex
	up := make(map[string]bool)
	var work errgroup.Group
	work.SetLimit(sweepBatches)
	for len(due) > 0 {
		n := min(len(due), graphBatch)
		batch := due[:n]
		due = due[n:]
		work.Go(func() error {
			for _, organizer := range s.readBatch(ctx, tenant, batch) {
				mu.Lock()
				up[organizer] = true
				mu.Unlock()
			}
			return nil
		})
	}
	_ = work.Wait() // the functions give no error
	return up
}

// readBatch reads up to twenty sessions in one call, commits them, and gives the organizers whose mailboxes answered.
func (s *sweep) readBatch(ctx context.Context, tenant string, due []model.Due) []string {
	readAt := time.Now()
	results, err := through(ctx, s.gate, graph.Mailbox{Tenant: tenant}, func(ctx context.Context) ([]graph.Result, error) {
		refs := make([]graph.EventRef, len(due))
		for i, d := range due {
			refs[i] = graph.EventRef{Mailbox: mailboxOf(d), ID: d.Session.EventID}
		}
		return s.directory.Events(ctx, tenant, refs), nil
	})
	if err != nil {
		s.failed(ctx, tenant, due, err)
		return nil
	}
	sorted := s.sort(due, results, readAt)
	for _, f := range sorted.failures {
		s.failed(ctx, tenant, f.due, f.err)
	}
	if len(sorted.failures) == 0 {
		s.lanes.outcome(tenant, true)
	}
	var up []string
	for _, d := range sorted.answered() {
		up = append(up, d.Session.Organizer)
	}
	s.commit(ctx, tenant, sorted.certain, sorted.seen)
	s.settle(ctx, tenant, sorted.uncertain, sorted.glimpsed)
	return up
}

// sighted is a batch's answers, sorted by what they need.
type sighted struct {
	certain   []model.Due
	seen      []model.Observation
	uncertain []model.Due
	glimpsed  []model.Observation
	failures  []failure
}

// failure is an error that several sessions of one mailbox share.
type failure struct {
	due []model.Due
	err error
}

func (s sighted) answered() []model.Due {
	return append(append([]model.Due(nil), s.certain...), s.uncertain...)
}

// sort parts what can be committed from what needs a closer look and from what failed, the last by mailbox.
func (s *sweep) sort(due []model.Due, results []graph.Result, readAt time.Time) sighted {
	var all sighted
	places := make(map[string]int)
	for i, res := range results {
		d := due[i]
		o, err := notFound(readAt), res.Err
		if err == nil {
			o, err = observe(res.Event, readAt)
		}
		switch {
		case graph.KindOf(err) == graph.KindNotFound, err == nil && doubtful(d.Session, o):
			all.uncertain, all.glimpsed = append(all.uncertain, d), append(all.glimpsed, o)
		case err == nil:
			all.certain, all.seen = append(all.certain, d), append(all.seen, o)
		default:
			key := d.Session.Organizer + "\x00" + string(graph.KindOf(err))
			place, ok := places[key]
			if !ok {
				place = len(all.failures)
				places[key] = place
				all.failures = append(all.failures, failure{err: err})
			}
			all.failures[place].due = append(all.failures[place].due, d)
		}
	}
	return all
}

// settle looks closer at what was not found or came back from the dead. Each session waits for itself.
func (s *sweep) settle(ctx context.Context, tenant string, due []model.Due, glimpsed []model.Observation) {
	for i, d := range due {
		s.running.Go(func() {
			_ = guard(ctx, s.log, func() {
				o, err := s.reader.settle(ctx, mailboxOf(d), d.Session, glimpsed[i])
				if err != nil {
					s.failed(ctx, tenant, []model.Due{d}, err)
					return
				}
				s.commit(ctx, tenant, []model.Due{d}, []model.Observation{o})
			})
		})
	}
}

// failed puts trouble in its place. All of due share it, and belong to one tenant.
func (s *sweep) failed(ctx context.Context, tenant string, due []model.Due, err error) {
	if ctx.Err() != nil {
		return
	}
	t := diagnose(err)
	var again time.Duration
	switch t.remedy {
	case remedyMailbox, remedyTenant:
		for _, organizer := range organizers(due) {
			if err := s.wards.fell(ctx, ward{tenant, organizer}, t); err != nil {
				s.interrupted(ctx, err)
				return
			}
		}
		return
	case remedyWait:
		again = jitter(t.after)
		if t.after <= 0 {
			again = backoff(s.lanes.outcome(tenant, false), s.cfg.RetryMin, s.cfg.RetryMax)
		}
	case remedyBug:
		s.log.ErrorContext(ctx, "a session's event could not be read", slog.String("error", err.Error()), slog.Int("sessions", len(due)))
		again = jitter(s.cfg.ProbeMax)
	}
	if err := s.postpone(ctx, due, time.Now().Add(again)); err != nil {
		s.interrupted(ctx, err)
	}
}

// interrupted notes that the store failed. The lease of what was in hand lapses, and it comes again.
func (s *sweep) interrupted(ctx context.Context, err error) {
	if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		s.log.WarnContext(ctx, "a part of the sweep is interrupted and comes again", slog.String("error", err.Error()))
	}
}

func mailboxOf(d model.Due) graph.Mailbox {
	return graph.Mailbox{Tenant: d.Session.Tenant, User: d.MailboxID}
}

func organizers(due []model.Due) []string {
	var all []string
	known := make(map[string]bool)
	for _, d := range due {
		if !known[d.Session.Organizer] {
			known[d.Session.Organizer] = true
			all = append(all, d.Session.Organizer)
		}
	}
	return all
}
