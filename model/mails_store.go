package model

import (
	"context"
	"fmt"
	"time"

	"pairsync/model/internal/dbsql"
)

// mailDropped is the status of a letter that will never be sent.
const mailDropped = "dropped"

// ForecastExpiry queues a letter about a credential of a tenant that expires, and says whether it is the first about this
// expiry so many days ahead. The subject names the credential in a few words and goes into the letter.
func (s *Store) ForecastExpiry(
	ctx context.Context, tenant, subject string, expiresAt time.Time, days int,
) (queued bool, err error) {
	n, err := s.q.InsertForecast(ctx, s.pool, dbsql.InsertForecastParams{
		Tenant: tenant, Subject: subject, ExpiresAt: stored(expiresAt), Days: int64(days),
	})
	if violates(err, codeForeignKeyViolation, "mails_tenant_fkey") {
		return false, &MissingError{Thing: ThingTenant, ID: tenant}
	}
	if err != nil {
		return false, fmt.Errorf("writing the forecast: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	if err := s.q.NotifyMails(ctx, s.pool); err != nil {
		return false, fmt.Errorf("notifying: %w", err)
	}
	return true, nil
}

// ClaimMail claims up to limit letters that are due and at least as old as gather, in which time they take more news, so that
// nobody else gets them for the length of the lease. Whoever has one writes it, asks MailSending, sends it only if that says so, and ends with MailSent, MailFailed or MailDropped. A
// letter older than a week is not sent.
func (s *Store) ClaimMail(ctx context.Context, limit int, gather, lease time.Duration) ([]Mail, error) {
	rows, err := s.q.ClaimMails(ctx, s.pool, dbsql.ClaimMailsParams{Count: page(limit), Gather: gather, Lease: lease})
	if err != nil {
		return nil, fmt.Errorf("claiming letters: %w", err)
	}
	mails, ids := make([]Mail, 0, len(rows)), make([]int64, 0, len(rows))
	for _, row := range rows {
		m := row.Mail
		ids = append(ids, m.ID)
		mails = append(mails, Mail{
			ID: m.ID, Tenant: m.Tenant, TenantName: row.Name, OwnerEmail: row.OwnerEmail, Kind: MailKind(m.Kind),
			Subject: m.Subject, ExpiresAt: value(m.ExpiresAt), Days: int(m.Days), Attempts: int(m.Attempts),
			CreatedAt: m.CreatedAt,
		})
	}
	if len(mails) == 0 {
		return nil, nil
	}
	// Nothing joins a letter once it is claimed.
	incidents, err := s.q.IncidentsOfMails(ctx, s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("reading incidents: %w", err)
	}
	for i := range mails {
		for _, row := range incidents {
			told := row.Incident.OpenedMail
			if mails[i].Kind == MailRecovered {
				told = row.Incident.RecoveredMail
			}
			if told != nil && *told == mails[i].ID {
				mails[i].Incidents = append(mails[i].Incidents, incidentOf(row.Incident))
			}
		}
	}
	return mails, nil
}

// NextMailDue returns when ClaimMail with the same gather will have a letter; false when none waits.
func (s *Store) NextMailDue(ctx context.Context, gather time.Duration) (time.Time, bool, error) {
	at, err := s.q.NextMailDue(ctx, s.pool, gather)
	return next(at, err, "looking for the next letter")
}

// MailSending says whether a claimed letter may be sent, and if so, that it is being sent. Nobody may send it again after
// that unless MailFailed says that it certainly was not: a process that dies in between leaves a letter that perhaps was
// not sent rather than one that was sent twice.
func (s *Store) MailSending(ctx context.Context, id int64) (bool, error) {
	n, err := s.q.MailSending(ctx, s.pool, id)
	if err != nil {
		return false, fmt.Errorf("marking the letter: %w", err)
	}
	return n > 0, nil
}

// MailSent ends a letter that was sent.
func (s *Store) MailSent(ctx context.Context, id int64) error {
	if err := s.q.MailSent(ctx, s.pool, id); err != nil {
		return fmt.Errorf("marking the letter: %w", err)
	}
	return nil
}

// MailFailed notes that a letter was certainly not sent, and when that is tried again.
func (s *Store) MailFailed(ctx context.Context, id int64, retryAt time.Time) error {
	if err := s.q.MailFailed(ctx, s.pool, dbsql.MailFailedParams{ID: id, RetryAt: retryAt}); err != nil {
		return fmt.Errorf("postponing the letter: %w", err)
	}
	return nil
}

// MailDropped gives a letter up: nobody takes it.
func (s *Store) MailDropped(ctx context.Context, id int64) error {
	if err := s.q.MailDropped(ctx, s.pool, id); err != nil {
		return fmt.Errorf("dropping the letter: %w", err)
	}
	return nil
}
