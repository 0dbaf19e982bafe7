package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"pairsync/internal/graph"
	"pairsync/internal/queue"
	"pairsync/model"
)

// applyRounds is how often one claim looks anew when Outlook or the platform was faster. Then the request has to wait a little,
// like any that was interrupted.
const applyRounds = 8

var (
	// errMovedOn says that what was decided on is no longer so: look anew.
	errMovedOn = errors.New("the event or the request has changed meanwhile")
	// errUnsettled says that a request stayed open although everything was done for it.
	errUnsettled = errors.New("the request is still open")
)

// applier brings Outlook to what the platform wants: it books, changes and cancels events. A command only says that there is
// something to do; what it is stands in the session's row, and what Outlook has is read before anything is written, and
// committed, so that model.Reconcile alone decides who wins when both sides changed.
//
// Whoever holds the claim on a session's request is the only one to write for it. Every step can be the last one of a process:
// an event is booked under a transaction that Graph books once, a change holds only if the event is as it was read, and nothing
// is done that a later claim would not find again.
type applier struct {
	cfg     Config
	store   *model.Store
	outlook outlook
	ledger  *ledger
	reader  *reader
	wards   *wards
	metrics *applyMetrics
	log     *slog.Logger
	// step is told what has just been done. Tests end the world there.
	step func(ctx context.Context, done string)
}

// handle is the queue's handler. Whatever has to come again is due again in the store, so that the message is done in any case
// but two: when the store can't be reached, and when there is a bug, of which the queue counts the failures.
func (a *applier) handle(ctx context.Context, g queue.CommandGroup) error {
	ctx, span := startSpan(ctx, "apply", attribute.Int("commands", len(g.Commands)), attribute.Int("attempt", g.Attempt))
	defer span.End()
	c := g.Commands[0]
	for range applyRounds {
		more, err := a.turn(ctx, g, c)
		if err != nil {
			span.RecordError(err)
			return err
		}
		if !more {
			return nil
		}
	}
	return nil // The request is due.
}

// turn claims the session's request and works on it. more says that there was another by the time it was done.
func (a *applier) turn(ctx context.Context, g queue.CommandGroup, c model.Command) (more bool, err error) {
	work, open, err := a.store.ClaimRequest(ctx, c.Tenant, c.Session, a.cfg.ApplyLease)
	switch {
	case errors.Is(err, model.ErrClaimed), errors.Is(err, model.ErrNotFound):
		return false, nil // Whoever is at it does what has come meanwhile, too.
	case err != nil:
		return false, queue.RetryAfter(backoff(g.Attempt, a.cfg.RetryMin, a.cfg.RetryMax), fmt.Errorf("claiming a request: %w", err))
	case !open:
		return false, nil
	}
	a.step(ctx, "claimed")
	kind := work.Session.Request.Kind
	// Well before the claim ends the work must have ended, or two would write for the same session.
	within, cancel := context.WithTimeout(ctx, a.cfg.ApplyLease*3/4)
	defer cancel()
	became, err := a.guarded(within, &work)
	if err != nil {
		became, err = a.interrupted(ctx, g, work, err)
		a.metrics.applied(kind, became)
		return false, err
	}
	a.metrics.applied(kind, became)
	if work.Session.Request == nil || !work.Session.Request.Open {
		return false, nil
	}
	// A newer request. It is claimed anew, because a claim is what notes what is about to be written.
	_, err = a.again(ctx, work, 0, errMovedOn)
	return err == nil, err
}

// guarded turns a panic into an error: one session that trips a bug must not stop all others.
func (a *applier) guarded(ctx context.Context, w *model.Work) (became applyOutcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(ctx, "applying a request panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errPanicked
		}
	}()
	return a.carryOut(ctx, w)
}

// carryOut works on the session until the request that was claimed is closed. The session in w is as it was last committed.
func (a *applier) carryOut(ctx context.Context, w *model.Work) (applyOutcome, error) {
	mb, err := a.mailbox(ctx, w)
	if err != nil {
		return "", err
	}
	version, written := w.Session.Request.Version, false
	for range applyRounds {
		r := w.Session.Request
		if r == nil || !r.Open || r.Version != version {
			return closedBy(written), nil
		}
		var did bool
		switch {
		case r.Kind == model.RequestCancel:
			did, err = a.cancel(ctx, mb, w)
		case r.Kind == model.RequestBook || w.Session.EventID == "":
			did, err = a.book(ctx, mb, w)
		default:
			did, err = a.change(ctx, mb, w)
		}
		written = written || did
		kind := graph.KindOf(err)
		if err != nil && !errors.Is(err, errMovedOn) && kind != graph.KindPrecondition && kind != graph.KindNotFound {
			return "", err
		}
		// Outlook changes a meeting in several steps, and a copy of the mailbox may lag behind.
		if err != nil && pause(ctx, a.cfg.RetryMin/4) != nil {
			return "", ctx.Err()
		}
	}
	return "", errUnsettled
}

// closedBy tells a request that was carried out from one that needed nothing, or lost.
func closedBy(written bool) applyOutcome {
	if written {
		return applyDone
	}
	return applyNeedless
}

// mailbox is the organizer's, found in the directory if nobody has yet.
func (a *applier) mailbox(ctx context.Context, w *model.Work) (graph.Mailbox, error) {
	s := w.Session
	if w.MailboxID == "" {
		id, err := a.outlook.User(ctx, s.Tenant, w.Email)
		if graph.KindOf(err) == graph.KindNotFound {
			err = &graph.Error{Kind: graph.KindMailbox, Reason: graph.ReasonUserNotFound, Operation: "user"}
		}
		if err != nil {
			return graph.Mailbox{}, err
		}
		if err := a.store.SetMailboxID(ctx, s.Tenant, s.Organizer, id); err != nil {
			return graph.Mailbox{}, fmt.Errorf("storing a mailbox: %w", err)
		}
		w.MailboxID = id
	}
	return graph.Mailbox{Tenant: s.Tenant, User: w.MailboxID}, nil
}

// commit commits what Outlook shows, and with applied that it does because of us.
func (a *applier) commit(ctx context.Context, w *model.Work, o model.Observation, applied *model.Applied) error {
	s := w.Session
	// The mailbox answered.
	if err := a.wards.read(ctx, s); err != nil {
		return err
	}
	now := time.Now()
	out, err := a.ledger.commit(ctx, []model.Reading{{
		Tenant: s.Tenant, Session: s.ID, Observation: o, Cause: model.CauseRequest, ReceivedAt: now,
		NextVerifyAt: now.Add(a.cfg.verifyIn()), Applied: applied,
	}})
	if err != nil {
		return err
	}
	if out[0].Err != nil {
		return fmt.Errorf("committing a reading: %w", errors.Join(errUncommitted, out[0].Err))
	}
	for _, ch := range out[0].Changes {
		if ch.Source == model.SourceOutlook {
			a.metrics.lag(ch)
		}
	}
	w.Session = out[0].Session
	w.Session.OrganizerMailbox = model.MailboxOK
	return nil
}

// errUncommitted says that the database refuses a reading.
var errUncommitted = errors.New("refused by the store")
