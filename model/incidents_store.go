package model

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// Incidents lists a tenant's incidents whose ID is greater than after, oldest first; only those that last if openOnly.
func (s *Store) Incidents(ctx context.Context, tenant string, openOnly bool, after int64, limit int) ([]Incident, error) {
	rows, err := s.q.ListIncidents(ctx, s.pool, dbsql.ListIncidentsParams{
		Tenant: tenant, OpenOnly: openOnly, After: after, Count: page(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing incidents: %w", err)
	}
	incidents := make([]Incident, 0, len(rows))
	for _, row := range rows {
		incidents = append(incidents, incidentOf(row.Incident))
	}
	return incidents, nil
}

func incidentOf(i dbsql.Incident) Incident {
	return Incident{
		ID: i.ID, Tenant: i.Tenant, Scope: IncidentScope(i.Scope), Participant: i.Participant, Status: i.Status,
		Reason: i.Reason, OpenedAt: i.OpenedAt, ClosedAt: i.ClosedAt,
	}
}

// openIncident notes trouble, new or known. The owner is told of it unless they have been, or the whole tenant is in trouble:
// then that is what has to be mended.
func (s *Store) openIncident(ctx context.Context, tx pgx.Tx, arg dbsql.OpenIncidentParams) error {
	incident, err := s.q.OpenIncident(ctx, tx, arg)
	if err != nil {
		return fmt.Errorf("writing the incident: %w", err)
	}
	if incident.Told {
		return nil
	}
	if arg.Scope == string(ScopeMailbox) {
		whole := dbsql.IncidentIsOpenParams{Tenant: arg.Tenant, Scope: string(ScopeTenant)}
		hushed, err := s.q.IncidentIsOpen(ctx, tx, whole)
		if err != nil {
			return fmt.Errorf("looking for the tenant's incident: %w", err)
		}
		if hushed {
			return nil
		}
	}
	letter, err := s.letter(ctx, tx, arg.Tenant, MailOpened)
	if err != nil {
		return err
	}
	if err := s.q.TellOpened(ctx, tx, dbsql.TellOpenedParams{ID: incident.ID, Mail: letter}); err != nil {
		return fmt.Errorf("writing the incident: %w", err)
	}
	return nil
}

// closeIncident ends trouble, if there is any. The owner is told if they were told of its beginning, or are being told; a
// letter that nobody has begun to send is taken back.
func (s *Store) closeIncident(ctx context.Context, tx pgx.Tx, tenant string, scope IncidentScope, participant string) error {
	closed, err := s.q.CloseIncident(ctx, tx, dbsql.CloseIncidentParams{
		Tenant: tenant, Scope: string(scope), Participant: participant,
	})
	if isNoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("closing the incident: %w", err)
	}
	if closed.OpenedMail == nil {
		return nil
	}
	opened, err := s.q.LockMail(ctx, tx, *closed.OpenedMail)
	if err != nil {
		return fmt.Errorf("locking the letter: %w", err)
	}
	switch {
	case opened.Unclaimed:
		if err := s.q.UntellOpened(ctx, tx, closed.ID); err != nil {
			return fmt.Errorf("taking the incident out of its letter: %w", err)
		}
		if err := s.q.DropEmptyLetter(ctx, tx, *closed.OpenedMail); err != nil {
			return fmt.Errorf("dropping the letter: %w", err)
		}
		return nil
	case opened.Status == mailDropped:
		return nil
	}
	letter, err := s.letter(ctx, tx, tenant, MailRecovered)
	if err != nil {
		return err
	}
	if err := s.q.TellRecovered(ctx, tx, dbsql.TellRecoveredParams{ID: closed.ID, Mail: letter}); err != nil {
		return fmt.Errorf("writing the incident: %w", err)
	}
	return nil
}

// letter is the letter that the next news of a kind goes into: one that nobody has claimed, or a new one.
func (s *Store) letter(ctx context.Context, tx pgx.Tx, tenant string, kind MailKind) (int64, error) {
	id, err := s.q.LockLetter(ctx, tx, dbsql.LockLetterParams{Tenant: tenant, Kind: string(kind)})
	if err == nil {
		return id, nil
	}
	if !isNoRows(err) {
		return 0, fmt.Errorf("looking for a letter: %w", err)
	}
	if id, err = s.q.InsertLetter(ctx, tx, dbsql.InsertLetterParams{Tenant: tenant, Kind: string(kind)}); err != nil {
		return 0, fmt.Errorf("writing the letter: %w", err)
	}
	if err := s.q.NotifyMails(ctx, tx); err != nil {
		return 0, fmt.Errorf("notifying: %w", err)
	}
	return id, nil
}
