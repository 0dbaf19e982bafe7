package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

func isNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

func tenantOf(t dbsql.Tenant, queued int64) Tenant {
	out := Tenant{
		ID: t.ID, Name: t.Name, OwnerEmail: t.OwnerEmail, Method: Method(t.Method), CallbackURL: t.CallbackUrl,
		Policy: Policy{Reschedule: PolicyChoice(t.PolicyReschedule), Cancel: PolicyChoice(t.PolicyCancel)},
		Status: TenantStatus(t.Status), StatusReason: t.StatusReason, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
	if t.CallbackUrl == "" {
		return out
	}
	out.Callback = &Callback{Status: CallbackOK, Reason: t.CallbackReason, Queued: int(queued)}
	if t.CallbackPausedUntil != nil {
		out.Callback.Status = CallbackPaused
	}
	return out
}

func participantOf(row dbsql.GetParticipantRow) (Participant, error) {
	p := row.Participant
	out := Participant{
		Tenant: p.Tenant, ID: p.ID, Email: p.Email, Name: p.Name, MailboxID: p.MailboxID,
		MailboxStatus: MailboxStatus(p.MailboxStatus), MailboxReason: p.MailboxReason,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	if err := json.Unmarshal(p.Availability, &out.Availability); err != nil {
		return Participant{}, fmt.Errorf("decoding the availability of participant %s: %w", p.ID, err)
	}
	if row.SubscriptionExpiresAt != nil {
		out.Subscription = &SubscriptionSummary{ID: row.GraphID, ExpiresAt: *row.SubscriptionExpiresAt}
	}
	return out, nil
}

func sessionOf(s dbsql.Session, organizerEmail, mailbox string) (Session, error) {
	out := Session{
		Tenant: s.Tenant, ID: s.ID, Status: SessionStatus(s.Status), Organizer: s.Organizer,
		OrganizerEmail: organizerEmail, OrganizerMailbox: MailboxStatus(mailbox),
		StartsAt: s.StartsAt, EndsAt: s.EndsAt, TimeZone: s.TimeZone, Title: s.Title, OnlineMeeting: s.OnlineMeeting,
		JoinURL: s.JoinUrl, EventID: value(s.EventID), ICalUID: s.IcalUid, ChangeKey: s.ChangeKey,
		SeriesMasterID: value(s.SeriesMasterID), OriginalStart: s.OriginalStart, LastModifiedAt: s.LastModifiedAt,
		ReadAt: s.ReadAt, Vanished: s.Vanished, State: OutlookState(s.State), Version: s.Version,
		VerifiedAt: s.VerifiedAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	if err := json.Unmarshal(s.Attendees, &out.Attendees); err != nil {
		return Session{}, fmt.Errorf("decoding the attendees of session %s: %w: %w", s.ID, errUnreadable, err)
	}
	return out, out.decodeIntent(s.Intent)
}

func changeOf(c dbsql.Change) Change {
	return Change{
		ID: c.ID, Cursor: c.Cursor, Tenant: c.Tenant, Session: c.Session, Version: c.Version,
		Kind: ChangeKind(c.Kind), Source: Source(c.Source), Cause: Cause(c.Cause), Before: c.Before, After: c.After,
		Participant: c.Participant, OccurredAt: c.OccurredAt, ReceivedAt: c.ReceivedAt, AppliedAt: c.AppliedAt,
		Applied: c.Applied,
	}
}

// subscriptionOf takes the mailbox from the participant. A subscription of another mailbox, which the participant had under
// an earlier address, is no subscription of this one.
func subscriptionOf(row dbsql.ClaimSubscriptionsRow) Subscription {
	s := row.Subscription
	state := SubscriptionState(s.State)
	if s.GraphID != "" && s.MailboxID != "" && s.MailboxID != row.MailboxID {
		state = SubscriptionExpired
	}
	return Subscription{
		Tenant: s.Tenant, Participant: s.Participant, Email: row.Email, MailboxID: row.MailboxID, GraphID: s.GraphID,
		ClientState: s.ClientState, State: state, Reason: s.Reason,
		ExpiresAt: value(s.ExpiresAt), GrantedAt: value(s.GrantedAt), ReauthorizedAt: value(s.ReauthorizedAt),
		RenewedAt: value(s.RenewedAt), Lifecycle: LifecycleEvent(s.Lifecycle), Silent: s.Silent, Wanted: row.Wanted,
		Attempts: int(s.Attempts), DueAt: s.DueAt,
	}
}

// value is what p points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// nullTime is the time, or nil for the zero time.
func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
