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
// that exists stays. Status, reason and times of the argument are ignored.
func (s *Store) PutTenant(ctx context.Context, t Tenant) (saved Tenant, created bool, err error) {
	p := t.Policy.withDefaults()
	row, err := s.q.UpsertTenant(ctx, s.pool, dbsql.UpsertTenantParams{
		ID: t.ID, Name: t.Name, OwnerEmail: t.OwnerEmail, Method: string(t.Method), CallbackUrl: t.CallbackURL,
		PolicyReschedule: string(p.Reschedule), PolicyCancel: string(p.Cancel),
	})
	if err != nil {
		return Tenant{}, false, fmt.Errorf("writing the tenant: %w", err)
	}
	return tenantOf(row.Tenant), row.Created, nil
}

// Tenant returns a tenant. The error is ErrNotFound when there is none.
func (s *Store) Tenant(ctx context.Context, id string) (Tenant, error) {
	row, err := s.q.GetTenant(ctx, s.pool, id)
	if err != nil {
		return Tenant{}, missing(err, ThingTenant, id, "reading the tenant")
	}
	return tenantOf(row.Tenant), nil
}

// Tenants returns all tenants, ordered by id.
func (s *Store) Tenants(ctx context.Context) ([]Tenant, error) {
	rows, err := s.q.ListTenants(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("listing tenants: %w", err)
	}
	tenants := make([]Tenant, 0, len(rows))
	for _, row := range rows {
		tenants = append(tenants, tenantOf(row.Tenant))
	}
	return tenants, nil
}

// SetTenantStatus notes how the connection to an organisation stands, and says whether that is news. The reason is a word
// of a closed set; empty when all is well. A tenant that doesn't exist is no news. When an organisation lets us in again, its
// mailboxes that could not be read are tried at once, however long they had failed.
func (s *Store) SetTenantStatus(ctx context.Context, id string, st TenantStatus, reason string) (changed bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		n, err := s.q.SetTenantStatus(ctx, tx, dbsql.SetTenantStatusParams{ID: id, Status: string(st), Reason: reason})
		if err != nil {
			return fmt.Errorf("writing the tenant's status: %w", err)
		}
		changed = n > 0
		if !changed || st != TenantConnected {
			return nil
		}
		return s.probeTenant(ctx, tx, id)
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
