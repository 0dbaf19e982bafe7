package model

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

func (p Policy) withDefaults() Policy {
	return Policy{Reschedule: cmp.Or(p.Reschedule, PolicyApply), Cancel: cmp.Or(p.Cancel, PolicyApply)}
}

// PutTenant creates a tenant or changes what the platform says of it. A new one is TenantPendingConsent; the status of one
// that exists stays. Status, reason, callback and times of the argument are ignored.
//
// Another callback URL is another receiver: what waits is due there at once. Without one, nothing waits any more.
func (s *Store) PutTenant(ctx context.Context, t Tenant) (saved Tenant, created bool, err error) {
	p := t.Policy.withDefaults()
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		was, err := s.q.LockTenant(ctx, tx, t.ID)
		if err != nil && !isNoRows(err) {
			return fmt.Errorf("locking the tenant: %w", err)
		}
		created, err = s.q.UpsertTenant(ctx, tx, dbsql.UpsertTenantParams{
			ID: t.ID, Name: t.Name, OwnerEmail: t.OwnerEmail, Method: string(t.Method), CallbackUrl: t.CallbackURL,
			PolicyReschedule: string(p.Reschedule), PolicyCancel: string(p.Cancel),
		})
		if err != nil {
			return fmt.Errorf("writing the tenant: %w", err)
		}
		if was.CallbackUrl != t.CallbackURL && !created {
			if t.CallbackURL == "" {
				if err := s.q.EmptyCallbacks(ctx, tx, t.ID); err != nil {
					return fmt.Errorf("emptying the queue: %w", err)
				}
			}
			if err := s.resumeCallbacks(ctx, tx, t.ID); err != nil {
				return err
			}
		}
		if err := s.q.NotifyTenants(ctx, tx); err != nil {
			return fmt.Errorf("notifying: %w", err)
		}
		saved, err = s.tenant(ctx, tx, t.ID)
		return err
	})
	return saved, created && err == nil, err
}

// Tenant returns a tenant. The error is ErrNotFound when there is none.
func (s *Store) Tenant(ctx context.Context, id string) (Tenant, error) {
	return s.tenant(ctx, s.pool, id)
}

func (s *Store) tenant(ctx context.Context, db dbsql.DBTX, id string) (Tenant, error) {
	row, err := s.q.GetTenant(ctx, db, id)
	if err != nil {
		return Tenant{}, missing(err, ThingTenant, id, "reading the tenant")
	}
	return tenantOf(row.Tenant, row.Queued), nil
}

// Tenants returns all tenants, ordered by id.
func (s *Store) Tenants(ctx context.Context) ([]Tenant, error) {
	rows, err := s.q.ListTenants(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("listing tenants: %w", err)
	}
	tenants := make([]Tenant, 0, len(rows))
	for _, row := range rows {
		tenants = append(tenants, tenantOf(row.Tenant, row.Queued))
	}
	return tenants, nil
}

// SetTenantStatus notes how the connection to an organisation stands, and says whether that is news. The reason is a word
// of a closed set; empty when all is well. A tenant that doesn't exist is no news. An organisation that was connected and
// fails is an incident, which lasts until it is connected again; then its mailboxes that could not be read are tried at once,
// however long they had failed.
func (s *Store) SetTenantStatus(ctx context.Context, id string, st TenantStatus, reason string) (changed bool, err error) {
	is, err := s.q.GetTenantStatus(ctx, s.pool, id)
	if isNoRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the tenant's status: %w", err)
	}
	if is.Status == string(st) && is.StatusReason == reason {
		return false, nil
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		was, err := s.q.LockTenant(ctx, tx, id)
		if err != nil {
			return missing(err, ThingTenant, id, "locking the tenant")
		}
		changed = was.Status != string(st) || was.StatusReason != reason
		if !changed {
			return nil
		}
		err = s.q.SetTenantStatus(ctx, tx, dbsql.SetTenantStatusParams{ID: id, Status: string(st), Reason: reason})
		if err != nil {
			return fmt.Errorf("writing the tenant's status: %w", err)
		}
		switch st {
		case TenantConnected:
			if err := s.closeIncident(ctx, tx, id, ScopeTenant, ""); err != nil {
				return err
			}
			return s.probeTenant(ctx, tx, id)
		case TenantFailing, TenantDisconnected:
			if was.Status == string(TenantPendingConsent) {
				return nil // It has never worked: nothing has broken.
			}
			return s.openIncident(ctx, tx, dbsql.OpenIncidentParams{
				Tenant: id, Scope: string(ScopeTenant), Status: string(st), Reason: reason,
			})
		case TenantPendingConsent:
		}
		return nil
	})
	return changed && err == nil, err
}

// probeTenant makes one session of each mailbox that could not be read due, and the tenant's failing subscriptions.
func (s *Store) probeTenant(ctx context.Context, tx pgx.Tx, id string) error {
	if err := s.q.ProbeMailboxes(ctx, tx, id); err != nil {
		return fmt.Errorf("having mailboxes tried: %w", err)
	}
	n, err := s.q.ProbeSessions(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("making sessions due: %w", err)
	}
	if n > 0 {
		err = s.q.NotifySweep(ctx, tx)
	}
	if err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	if err := s.q.ProbeSubscriptions(ctx, tx, id); err != nil {
		return fmt.Errorf("making subscriptions due: %w", err)
	}
	if err := s.q.NotifySubscriptions(ctx, tx); err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	return nil
}

// TenantShut says whether what keeps us out of an organisation's mailbox keeps us out of all: it has one consent for all, and
// of its mailboxes with upcoming sessions none can be read, at least one of them for one of the reasons.
func (s *Store) TenantShut(ctx context.Context, id string, reasons []string) (bool, error) {
	shut, err := s.q.TenantShut(ctx, s.pool, dbsql.TenantShutParams{ID: id, Reasons: reasons})
	if err != nil && !isNoRows(err) {
		return false, fmt.Errorf("looking whether a tenant is shut: %w", err)
	}
	return shut, nil
}

// PutParticipant creates a participant or changes what the platform says of it. Another e-mail address is another mailbox:
// what is known of the old one is forgotten, and its subscription is looked at again at once. The error is ErrNotFound when
// the tenant doesn't exist. What the platform doesn't say (mailbox, subscription, times) is ignored.
func (s *Store) PutParticipant(ctx context.Context, p Participant) (saved Participant, created bool, err error) {
	if p.Availability == nil {
		p.Availability = []Availability{}
	}
	availability, err := json.Marshal(p.Availability)
	if err != nil {
		return Participant{}, false, fmt.Errorf("encoding the availability: %w", err)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		key := dbsql.LockParticipantParams{Tenant: p.Tenant, ID: p.ID}
		was, err := s.q.LockParticipant(ctx, tx, key)
		if err != nil && !isNoRows(err) {
			return fmt.Errorf("locking the participant: %w", err)
		}
		known := err == nil
		created, err = s.q.UpsertParticipant(ctx, tx, dbsql.UpsertParticipantParams{
			Tenant: p.Tenant, ID: p.ID, Email: p.Email, Name: p.Name, Availability: availability,
		})
		if violates(err, codeForeignKeyViolation, "participants_tenant_fkey") {
			return &MissingError{Thing: ThingTenant, ID: p.Tenant}
		}
		if err != nil {
			return fmt.Errorf("writing the participant: %w", err)
		}
		if known && !strings.EqualFold(was, p.Email) {
			if err := s.wakeSubscription(ctx, tx, p.Tenant, p.ID); err != nil {
				return err
			}
		}
		saved, err = s.participant(ctx, tx, p.Tenant, p.ID)
		return err
	})
	return saved, created, err
}

// Participant returns a participant with the mailbox's status and its living subscription. The error is ErrNotFound when
// there is none.
func (s *Store) Participant(ctx context.Context, tenant, id string) (Participant, error) {
	return s.participant(ctx, s.pool, tenant, id)
}

func (s *Store) participant(ctx context.Context, db dbsql.DBTX, tenant, id string) (Participant, error) {
	row, err := s.q.GetParticipant(ctx, db, dbsql.GetParticipantParams{Tenant: tenant, ID: id})
	if err != nil {
		return Participant{}, missing(err, ThingParticipant, id, "reading the participant")
	}
	return participantOf(row)
}

// Participants lists a tenant's participants whose id is greater than after, by id.
func (s *Store) Participants(ctx context.Context, tenant, after string, limit int) ([]Participant, error) {
	rows, err := s.q.ListParticipants(ctx, s.pool, dbsql.ListParticipantsParams{
		Tenant: tenant, AfterID: after, Count: page(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing participants: %w", err)
	}
	return participantsOf(rows, func(r dbsql.ListParticipantsRow) dbsql.GetParticipantRow { return dbsql.GetParticipantRow(r) })
}

// SampleParticipants picks up to n participants of a tenant at random, ordered by id.
func (s *Store) SampleParticipants(ctx context.Context, tenant string, n int) ([]Participant, error) {
	rows, err := s.q.SampleParticipants(ctx, s.pool, dbsql.SampleParticipantsParams{Tenant: tenant, Count: page(n)})
	if err != nil {
		return nil, fmt.Errorf("picking participants: %w", err)
	}
	return participantsOf(rows, func(r dbsql.SampleParticipantsRow) dbsql.GetParticipantRow { return dbsql.GetParticipantRow(r) })
}

func participantsOf[Row any](rows []Row, participant func(Row) dbsql.GetParticipantRow) ([]Participant, error) {
	participants := make([]Participant, 0, len(rows))
	for _, row := range rows {
		p, err := participantOf(participant(row))
		if err != nil {
			return nil, err
		}
		participants = append(participants, p)
	}
	return participants, nil
}

// ParticipantOfMailbox returns the id of the participant who owns a mailbox, named by its Entra object id or its address.
// The error is ErrNotFound when there is none.
func (s *Store) ParticipantOfMailbox(ctx context.Context, tenant, mailbox string) (string, error) {
	id, err := s.q.ParticipantOfMailbox(ctx, s.pool, dbsql.ParticipantOfMailboxParams{Tenant: tenant, Name: mailbox})
	if err != nil {
		return "", missing(err, ThingParticipant, mailbox, "looking up the mailbox")
	}
	return id, nil
}

// SetMailboxID notes the Entra object id that Graph gave for the participant's address. An unknown participant is ignored.
func (s *Store) SetMailboxID(ctx context.Context, tenant, participant, mailboxID string) error {
	_, err := s.q.SetMailboxID(ctx, s.pool, dbsql.SetMailboxIDParams{
		Tenant: tenant, ID: participant, MailboxID: strings.ToLower(mailboxID),
	})
	if err != nil {
		return fmt.Errorf("writing the mailbox id: %w", err)
	}
	return nil
}
