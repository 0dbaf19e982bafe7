package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"pairsync/internal/graph"
	"pairsync/internal/queue"
	"pairsync/model"
)

// reconciler handles groups of hints.
type reconciler struct {
	cfg     Config
	store   *model.Store
	ledger  *ledger
	reader  *reader
	wards   *wards
	second  *second
	metrics *metrics
	log     *slog.Logger
}

// ending is how the handling of a group ended: in one outcome, and with what the queue is told.
type ending struct {
	outcome outcome
	err     error
}

// handle is the queue's handler. It counts the group's one outcome.
func (r *reconciler) handle(ctx context.Context, g queue.Group) error {
	ctx, span := startSpan(ctx, "reconcile", attribute.Int("hints", len(g.Hints)), attribute.Int("attempt", g.Attempt))
	defer span.End()
	end := r.group(ctx, g)
	span.SetAttributes(attribute.String("outcome", string(end.outcome)))
	r.metrics.reconciles.WithLabelValues(string(end.outcome)).Inc()
	return end.err
}

// group handles a group by what its hints are. A panic is a failed attempt.
func (r *reconciler) group(ctx context.Context, g queue.Group) (end ending) {
	err := guard(ctx, r.log, func() {
		switch {
		case len(g.Hints) == 0:
			end = ending{outcome: outcomeUnrelated}
		case g.Hints[0].Lifecycle != "":
			end = r.lifecycle(ctx, g)
		default:
			end = r.event(ctx, g)
		}
	})
	if err != nil {
		return r.faulty(g, "panic", err)
	}
	return end
}

// lifecycle hands a subscription's event to whoever keeps subscriptions. Events that we don't know are done: Graph's enum
// is evolvable.
func (r *reconciler) lifecycle(ctx context.Context, g queue.Group) ending {
	h := g.Hints[0]
	switch h.Lifecycle {
	case model.LifecycleMissed, model.LifecycleReauthorizationRequired, model.LifecycleSubscriptionRemoved:
	default:
		return ending{outcome: outcomeUnrelated}
	}
	if err := r.store.LifecycleReceived(ctx, h.Tenant, h.Mailbox, h.SubscriptionID, h.Lifecycle); err != nil {
		return r.later(g, 0, fmt.Errorf("storing a lifecycle event: %w", err))
	}
	return ending{outcome: outcomeUnchanged}
}

// event reads and commits what the hints of one event are about.
func (r *reconciler) event(ctx context.Context, g queue.Group) ending {
	h := g.Hints[0]
	sessions, err := r.ledger.tied(ctx, model.EventRef{Tenant: h.Tenant, EventID: h.EventID})
	if err != nil {
		return r.later(g, 0, err)
	}
	if len(sessions) == 0 {
		return ending{outcome: outcomeUnrelated}
	}
	mb := graph.Mailbox{Tenant: h.Tenant, User: h.Mailbox}
	read, err := r.observations(ctx, mb, h.EventID, sessions)
	if err != nil {
		return r.unread(ctx, g, sessions[0], err)
	}
	if err := r.wards.read(ctx, sessions[0]); err != nil {
		return r.later(g, 0, err)
	}
	doubt := doubtAbout(g.Hints, sessions, read)
	out, err := r.ledger.commit(ctx, readings(g.Hints, sessions, read, r.nextVerify(doubt != doubtNone)))
	if err != nil {
		return r.later(g, 0, err)
	}
	end := r.conclude(g, read, out)
	if end.err == nil && doubt != doubtNone {
		r.second.look(ctx, again{mailbox: mb, event: h.EventID, hints: g.Hints, sessions: sessionsOf(sessions, out), doubt: doubt})
	}
	return end
}

// observations reads what the sessions tied to an event are tied to: the event itself, or instances of the series whose
// master it is.
func (r *reconciler) observations(ctx context.Context, mb graph.Mailbox, event string, sessions []model.Session) ([]model.Observation, error) {
	read := make([]model.Observation, len(sessions))
	var instances []model.Session
	var places []int
	for i, s := range sessions {
		if s.EventID != event {
			instances, places = append(instances, s), append(places, i)
			continue
		}
		var err error
		if read[i], err = r.reader.session(ctx, mb, s); err != nil {
			return nil, err
		}
	}
	if len(instances) == 0 {
		return read, nil
	}
	seen, err := r.reader.series(ctx, mb, event, instances)
	if err != nil {
		return nil, err
	}
	for i, place := range places {
		read[place] = seen[i]
	}
	return read, nil
}

// conclude counts what was committed and says how the group ended.
func (r *reconciler) conclude(g queue.Group, read []model.Observation, out []model.Outcome) ending {
	end := ending{outcome: outcomeStale}
	for i, o := range out {
		if o.Err != nil {
			if errors.Is(o.Err, model.ErrNotFound) {
				continue
			}
			return r.faulty(g, "commit", fmt.Errorf("committing a reading: %w", o.Err))
		}
		r.metrics.committed(o)
		r.metrics.delivered(g.Hints, read[i], o.Verdict == model.VerdictChanged)
		switch o.Verdict {
		case model.VerdictChanged:
			end.outcome = outcomeChanged
		case model.VerdictUnchanged:
			if end.outcome == outcomeStale {
				end.outcome = outcomeUnchanged
			}
		case model.VerdictStale:
		}
	}
	r.metrics.processed(g.Hints, time.Now())
	return end
}

// unread is the end of a group whose event could not be read. Nothing is cancelled for it.
func (r *reconciler) unread(ctx context.Context, g queue.Group, s model.Session, err error) ending {
	t := diagnose(err)
	switch t.remedy {
	case remedyWait:
		return r.later(g, t.after, err)
	case remedyMailbox, remedyTenant:
		// A mailbox that is known to be down is probed by the sweep; hints that go on coming must not stretch its backoff.
		if s.State != model.OutlookUnreachable {
			if err := r.wards.fell(ctx, ward{s.Tenant, s.Organizer}, t); err != nil {
				return r.later(g, 0, err)
			}
		}
		return ending{outcome: outcomeRetried}
	case remedyBug:
		return r.faulty(g, "reading", err)
	default:
		return r.faulty(g, "reading", err)
	}
}

// later puts the group back without counting against it: as long as Graph said, or with backoff.
func (r *reconciler) later(g queue.Group, after time.Duration, err error) ending {
	d := jitter(after)
	if after <= 0 {
		d = backoff(g.Attempt, r.cfg.RetryMin, r.cfg.RetryMax)
	}
	return ending{outcome: outcomeRetried, err: queue.RetryAfter(d, err)}
}

// faulty puts the group back a few times, which the queue counts, and then gives it up with the reason. The sweep still covers
// its session.
func (r *reconciler) faulty(g queue.Group, reason string, err error) ending {
	if g.Failures+1 >= r.cfg.MaxAttempts {
		return ending{outcome: outcomeDead, err: queue.Drop(reason, err)}
	}
	return ending{outcome: outcomeRetried, err: err}
}

// onceMore is a second look at an event. What it finds counts as found by the hints that raised the doubt.
func (r *reconciler) onceMore(ctx context.Context, a again, last bool) (again, error) {
	ctx, span := startSpan(ctx, "second look")
	defer span.End()
	read, err := r.observations(ctx, a.mailbox, a.event, a.sessions)
	if err != nil {
		return a, err
	}
	a.doubt = doubtAbout(a.hints, a.sessions, read)
	out, err := r.ledger.commit(ctx, readings(a.hints, a.sessions, read, r.nextVerify(!last && a.doubt != doubtNone)))
	if err != nil {
		return a, err
	}
	for i, o := range out {
		if o.Err == nil && o.Verdict == model.VerdictChanged {
			r.metrics.committed(o)
			r.metrics.delivered(a.hints, read[i], true)
			r.metrics.processed(a.hints, time.Now())
		}
	}
	a.sessions = sessionsOf(a.sessions, out)
	return a, nil
}

// nextVerify is when the sweep should read a session again: at the regular time, or soon while the reading is in doubt,
// because the second look that is planned in this process is lost with it.
func (r *reconciler) nextVerify(doubted bool) time.Time {
	now := time.Now()
	if doubted {
		return now.Add(r.second.takes() + doubtSlack)
	}
	return now.Add(r.cfg.verifyIn())
}

// readings pairs observations with their sessions for the commit.
func readings(hints []model.Hint, sessions []model.Session, read []model.Observation, next time.Time) []model.Reading {
	all := make([]model.Reading, len(sessions))
	for i, s := range sessions {
		all[i] = model.Reading{
			Tenant: s.Tenant, Session: s.ID, Observation: read[i], Cause: model.CauseNotification,
			ReceivedAt: receivedAt(hints, read[i]), NextVerifyAt: next,
		}
	}
	return all
}

// receivedAt is when pairsync first heard of what a reading shows: by a hint, or by the reading if that was faster than the
// hint. Of an event that is gone, Outlook tells no time, so that the first hint counts.
func receivedAt(hints []model.Hint, o model.Observation) time.Time {
	if !o.Found {
		return firstReceipt(hints)
	}
	if at, _, ok := heard(hints, o); ok {
		return at
	}
	return o.ReadAt
}

// sessionsOf are the sessions as they are after a commit, and as they were where it failed.
func sessionsOf(before []model.Session, out []model.Outcome) []model.Session {
	after := make([]model.Session, len(before))
	for i := range before {
		after[i] = before[i]
		if out[i].Err == nil && out[i].Session.ID != "" {
			after[i] = out[i].Session
		}
	}
	return after
}
