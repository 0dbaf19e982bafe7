package workers

import (
	"context"
	"errors"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// remedy is what to do about a call to Graph that failed.
type remedy uint8

// The remedies.
const (
	// remedyWait: ask again later; nothing is known about the event, and nothing is wrong with the mailbox.
	remedyWait remedy = iota
	// remedyMailbox: this mailbox can't be read; its sessions stand as last known until a probe gets through.
	remedyMailbox
	// remedyTenant: the same for every mailbox of the organisation.
	remedyTenant
	// remedyBug: no waiting will help; give up after a few attempts.
	remedyBug
)

// trouble is a failed call with its remedy.
type trouble struct {
	remedy remedy
	// status and reason are what the mailbox is marked with; set for remedyMailbox and remedyTenant.
	status model.MailboxStatus
	reason string
	// after is how long Graph told us to wait; 0 when it did not say.
	after time.Duration
}

// diagnose sorts the failures of a reading. KindNotFound never gets here: it is an answer.
func diagnose(err error) trouble {
	ge, ok := errors.AsType[*graph.Error](err)
	if !ok {
		if errors.Is(err, errCrowded) {
			return trouble{remedy: remedyWait, after: gatePatience} // Each time the same: nothing is wrong with the event.
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return trouble{remedy: remedyWait}
		}
		return trouble{remedy: remedyBug}
	}
	switch ge.Kind {
	case graph.KindMailbox:
		return trouble{remedy: remedyMailbox, status: model.MailboxUnreachable, reason: ge.Reason}
	case graph.KindSignIn:
		return trouble{remedy: remedyMailbox, status: model.MailboxNeedsSignIn, reason: ge.Reason}
	case graph.KindTenant:
		return trouble{remedy: remedyTenant, status: model.MailboxUnreachable, reason: ge.Reason}
	case graph.KindThrottled, graph.KindUnavailable, graph.KindQuota:
		return trouble{remedy: remedyWait, after: ge.RetryAfter}
	case graph.KindNotFound, graph.KindConflict, graph.KindPrecondition, graph.KindGone, graph.KindLifetime,
		graph.KindHandshake, graph.KindInvalid:
		return trouble{remedy: remedyBug}
	default:
		return trouble{remedy: remedyBug}
	}
}
