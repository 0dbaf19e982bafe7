package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/queue"
	"pairsync/model"
)

// reasonBug is shown for a request that failed for a reason of ours.
const reasonBug = "internal_error"

// interrupted puts trouble in its place. The request is due again when that makes sense, or it failed for good; nothing of it
// depends on the message any more, unless even that can't be written.
func (a *applier) interrupted(ctx context.Context, g queue.CommandGroup, w model.Work, err error) (applyOutcome, error) {
	// The row has to be written also when our own time is up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ledgerTimeout)
	defer cancel()
	if reason, ok := refused(err); ok {
		return a.failed(ctx, w, reason, err)
	}
	if errors.Is(err, errMovedOn) || errors.Is(err, errUnsettled) {
		return a.again(ctx, w, paused(w, a.cfg.RetryMin, a.cfg.RetryMax), err)
	}
	t := diagnose(err)
	switch t.remedy {
	case remedyMailbox, remedyTenant:
		s := w.Session
		// A mailbox that is known to be down has its probes; requests that come again must not stretch their pauses.
		if s.OrganizerMailbox != t.status {
			if err := a.wards.fell(ctx, ward{s.Tenant, s.Organizer}, t); err != nil {
				return a.again(ctx, w, a.cfg.RetryMin, err)
			}
		}
		// Whoever heals the mailbox wakes the request. It also probes itself, since no session of the mailbox need be in Outlook.
		return a.again(ctx, w, paused(w, a.cfg.ProbeMin, a.cfg.ProbeMax), err)
	case remedyWait:
		after := jitter(t.after)
		if t.after <= 0 {
			after = paused(w, a.cfg.RetryMin, a.cfg.RetryMax)
		}
		return a.again(ctx, w, after, err)
	case remedyBug:
	}
	if ourOwn(err) {
		return a.again(ctx, w, paused(w, a.cfg.RetryMin, a.cfg.RetryMax), err)
	}
	if g.Failures+1 >= a.cfg.MaxAttempts {
		return a.failed(ctx, w, reasonOf(err), err)
	}
	// The queue counts the failures; the store's own turn comes after the queue's.
	if _, release := a.again(ctx, w, a.cfg.ApplyAgain, err); release != nil {
		return applyRetried, release
	}
	return applyRetried, err
}

// ourOwn says that the database failed, which is no fault of the request.
func ourOwn(err error) bool {
	_, fromGraph := errors.AsType[*graph.Error](err)
	return !fromGraph && !errors.Is(err, errPanicked) && !errors.Is(err, errIncomplete) && !errors.Is(err, errUncommitted)
}

func reasonOf(err error) string {
	if ge, ok := errors.AsType[*graph.Error](err); ok && ge.Reason != "" {
		return ge.Reason
	}
	return reasonBug
}

// again ends the claim; the request's next turn is after d.
func (a *applier) again(ctx context.Context, w model.Work, d time.Duration, cause error) (applyOutcome, error) {
	a.log.DebugContext(ctx, "a request waits", slog.String("error", cause.Error()), slog.Duration("wait", d))
	if err := a.store.ReleaseRequest(ctx, w, time.Now().Add(d)); err != nil {
		// The claim lapses, and the command is published again after that.
		return applyRetried, queue.RetryAfter(a.cfg.ApplyLease, fmt.Errorf("ending a claim: %w", err))
	}
	return applyRetried, nil
}

// failed gives a request up, for good: it stays where the platform sees it, with the reason.
func (a *applier) failed(ctx context.Context, w model.Work, reason string, err error) (applyOutcome, error) {
	s := w.Session
	if s.Request == nil {
		return applyFailed, queue.Drop(reason, err)
	}
	a.log.WarnContext(ctx, "a request can't be carried out", slog.String("operation", string(s.Request.Kind)),
		slog.String("reason", reason), slog.String("error", err.Error()))
	if _, err := a.store.RequestFailed(ctx, s.Tenant, s.ID, s.Request.Version, reason); err != nil {
		return applyRetried, queue.RetryAfter(a.cfg.ApplyLease, fmt.Errorf("giving a request up: %w", err))
	}
	return applyFailed, queue.Drop(reason, err)
}

// paused is the wait before a request's next turn: half of the time that it has been waiting for already, so that pauses grow
// whoever tries, in whichever process.
func paused(w model.Work, shortest, longest time.Duration) time.Duration {
	waited := time.Duration(0)
	if r := w.Session.Request; r != nil {
		waited = time.Since(r.RequestedAt) / 2
	}
	return jitter(min(max(waited, shortest), longest))
}
