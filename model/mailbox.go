package model

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// MailboxFailed notes that a mailbox can't be read: its upcoming sessions stand as last known, are OutlookUnreachable, and
// are tried next after probeMin, which doubles with every failed try up to probeMax. Nothing is cancelled. Failures that
// come before the next try are due are the same failure, seen through another session. The reason is a word of a closed
// set. It says whether status or reason is news. A mailbox that breaks is an incident, which lasts until MailboxHealed. The error is ErrNotFound when there is no such participant.
func (s *Store) MailboxFailed(
	ctx context.Context, tenant, participant string, st MailboxStatus, reason string, probeMin, probeMax time.Duration,
) (changed bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		was, err := s.q.LockMailbox(ctx, tx, dbsql.LockMailboxParams{Tenant: tenant, ID: participant})
		if err != nil {
			return missing(err, ThingParticipant, participant, "locking the mailbox")
		}
		changed = was.MailboxStatus != string(st) || was.MailboxReason != reason
		attempts, probe := was.MailboxAttempts, was.MailboxProbeAt
		if was.Probed || probe == nil {
			attempts++
			at := was.At.Add(backoff(int(attempts), probeMin, probeMax))
			probe = &at
		}
		err = s.q.SetMailbox(ctx, tx, dbsql.SetMailboxParams{
			Tenant: tenant, ID: participant, Status: string(st), Reason: reason, Attempts: attempts, ProbeAt: probe,
		})
		if err != nil {
			return fmt.Errorf("writing the mailbox's status: %w", err)
		}
		err = s.q.MarkSessionsUnreachable(ctx, tx, dbsql.MarkSessionsUnreachableParams{
			Tenant: tenant, Organizer: participant, ProbeAt: *probe,
		})
		if err != nil {
			return fmt.Errorf("marking sessions unreachable: %w", err)
		}
		if st == MailboxNeedsSignIn && was.MailboxStatus != string(MailboxOK) {
			// Whoever has never signed in has nothing that could break.
			known, err := s.q.IncidentIsOpen(ctx, tx, dbsql.IncidentIsOpenParams{
				Tenant: tenant, Scope: string(ScopeMailbox), Participant: participant,
			})
			if err != nil {
				return fmt.Errorf("looking for the incident: %w", err)
			}
			if !known {
				return nil
			}
		}
		return s.openIncident(ctx, tx, dbsql.OpenIncidentParams{
			Tenant: tenant, Scope: string(ScopeMailbox), Participant: participant, Status: string(st), Reason: reason,
		})
	})
	return changed && err == nil, err
}

// backoff is the wait after the nth failure in a row: shortest, then twice as long each time, up to longest.
func backoff(n int, shortest, longest time.Duration) time.Duration {
	wait := shortest
	for range n - 1 {
		if wait >= longest/2 {
			return max(shortest, longest)
		}
		wait *= 2
	}
	return wait
}

// MailboxHealed notes that a mailbox could be read. When it was known to be unreadable, all its upcoming sessions are due at
// once, and so are its subscription and the platform's requests. It says whether this is news; when it is not, nothing is written.
func (s *Store) MailboxHealed(ctx context.Context, tenant, participant string) (changed bool, err error) {
	key := dbsql.GetMailboxStatusParams{Tenant: tenant, ID: participant}
	status, err := s.q.GetMailboxStatus(ctx, s.pool, key)
	if err != nil {
		return false, missing(err, ThingParticipant, participant, "reading the mailbox's status")
	}
	if status == string(MailboxOK) {
		return false, nil
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		was, err := s.q.LockMailbox(ctx, tx, dbsql.LockMailboxParams(key))
		if err != nil {
			return missing(err, ThingParticipant, participant, "locking the mailbox")
		}
		changed = was.MailboxStatus != string(MailboxOK)
		if !changed {
			return nil
		}
		err = s.q.SetMailbox(ctx, tx, dbsql.SetMailboxParams{Tenant: tenant, ID: participant, Status: string(MailboxOK)})
		if err != nil {
			return fmt.Errorf("writing the mailbox's status: %w", err)
		}
		if was.MailboxStatus == string(MailboxUnknown) {
			return nil
		}
		if _, err := s.sweepOrganizers(ctx, tx, tenant, []string{participant}, CauseSweep); err != nil {
			return err
		}
		wake := dbsql.WakeRequestsParams{Tenant: tenant, Organizer: participant}
		if err := s.q.WakeRequests(ctx, tx, wake); err != nil {
			return fmt.Errorf("waking requests: %w", err)
		}
		if err := s.wakeSubscription(ctx, tx, tenant, participant); err != nil {
			return err
		}
		return s.closeIncident(ctx, tx, tenant, ScopeMailbox, participant)
	})
	return changed && err == nil, err
}
