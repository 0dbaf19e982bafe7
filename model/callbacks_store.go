package model

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// SetCallbackSecret gives a tenant its first callback secret, sealed. It says false, and changes nothing, when the tenant
// has one. The error is ErrNotFound when there is no such tenant.
func (s *Store) SetCallbackSecret(ctx context.Context, tenant string, sealed []byte) (set bool, err error) {
	n, err := s.q.SetCallbackSecret(ctx, s.pool, dbsql.SetCallbackSecretParams{Tenant: tenant, Sealed: sealed})
	if violates(err, codeForeignKeyViolation, "callback_secrets_tenant_fkey") {
		return false, &MissingError{Thing: ThingTenant, ID: tenant}
	}
	if err != nil {
		return false, fmt.Errorf("writing the callback secret: %w", err)
	}
	return n > 0, nil
}

// RotateCallbackSecret makes a sealed secret the tenant's newest. The one before signs too for as long as keepOldFor says.
// The error is ErrNotFound when there is no such tenant.
func (s *Store) RotateCallbackSecret(ctx context.Context, tenant string, sealed []byte, keepOldFor time.Duration) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := s.q.LockTenant(ctx, tx, tenant); err != nil {
			return missing(err, ThingTenant, tenant, "locking the tenant")
		}
		if err := s.q.ForgetCallbackSecrets(ctx, tx, tenant); err != nil {
			return fmt.Errorf("deleting callback secrets: %w", err)
		}
		expire := dbsql.ExpireCallbackSecretsParams{Tenant: tenant, KeepFor: keepOldFor}
		if err := s.q.ExpireCallbackSecrets(ctx, tx, expire); err != nil {
			return fmt.Errorf("ending callback secrets: %w", err)
		}
		_, err := s.q.SetCallbackSecret(ctx, tx, dbsql.SetCallbackSecretParams{Tenant: tenant, Sealed: sealed})
		if err != nil {
			return fmt.Errorf("writing the callback secret: %w", err)
		}
		return nil
	})
}

// CallbackSecrets returns the sealed secrets that sign a tenant's callbacks, the newest first.
func (s *Store) CallbackSecrets(ctx context.Context, tenant string) ([][]byte, error) {
	secrets, err := s.q.CallbackSecrets(ctx, s.pool, tenant)
	if err != nil {
		return nil, fmt.Errorf("reading callback secrets: %w", err)
	}
	return secrets, nil
}

// ClaimCallbacks claims up to limit changes that are due at their tenants' receivers, in commit order, so that nobody else
// gets them for the length of the lease. Of each session only the oldest change that was not received is handed out; of each
// tenant perTenant at most, of one whose callbacks are paused one, and none of those in except. A claim ends with CallbackDone
// or CallbackFailed; when neither comes, the change is due again after the lease.
func (s *Store) ClaimCallbacks(
	ctx context.Context, limit, perTenant int, lease time.Duration, except []string,
) ([]Delivery, error) {
	if except == nil {
		except = []string{}
	}
	rows, err := s.q.ClaimCallbacks(ctx, s.pool, dbsql.ClaimCallbacksParams{
		Count: page(limit), PerTenant: page(perTenant), Lease: lease, Busy: except,
	})
	if err != nil {
		return nil, fmt.Errorf("claiming callbacks: %w", err)
	}
	deliveries := make([]Delivery, 0, len(rows))
	for _, row := range rows {
		d := Delivery{
			Tenant: row.Change.Tenant, URL: row.CallbackUrl, Secrets: row.Secrets, Change: changeOf(row.Change),
			Attempts: int(row.Attempts), PausedSince: value(row.PausedSince),
		}
		if d.Attempts > 0 {
			d.FirstTriedAt = value(row.FirstTriedAt)
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

// NextCallbackDue returns when the next change that is not due yet will be; false when none waits.
func (s *Store) NextCallbackDue(ctx context.Context) (time.Time, bool, error) {
	at, err := s.q.NextCallbackDue(ctx, s.pool)
	return next(at, err, "looking for the next callback")
}

// next is what a look for the next due time gives.
func next(at time.Time, err error, doing string) (time.Time, bool, error) {
	switch {
	case isNoRows(err):
		return time.Time{}, false, nil
	case err != nil:
		return time.Time{}, false, fmt.Errorf("%s: %w", doing, err)
	default:
		return at, true, nil
	}
}

// CallbackDone takes a change that was received, or that is given up, out of the queue. The next of its session is due.
func (s *Store) CallbackDone(ctx context.Context, cursor int64) error {
	if err := s.q.CallbackDone(ctx, s.pool, cursor); err != nil {
		return fmt.Errorf("taking a callback out of the queue: %w", err)
	}
	return nil
}

// ExpireCallbacks takes changes out of the queue that were tried in vain for as long as age, or that waited as long for a
// receiver that has been paused for as long, and says how many. They stay in the feed.
func (s *Store) ExpireCallbacks(ctx context.Context, age time.Duration) (int, error) {
	n, err := s.q.ExpireCallbacks(ctx, s.pool, age)
	if err != nil {
		return 0, fmt.Errorf("giving up callbacks: %w", err)
	}
	return int(n), nil
}

// CallbackFailed notes that a change was not received, and when it is tried again. The later changes of its session wait.
// The reason is a word of a closed set.
func (s *Store) CallbackFailed(ctx context.Context, tenant string, cursor int64, retryAt time.Time, reason string) error {
	err := s.q.CallbackFailed(ctx, s.pool, dbsql.CallbackFailedParams{
		Tenant: tenant, Cursor: cursor, RetryAt: retryAt, Reason: reason,
	})
	if err != nil {
		return fmt.Errorf("postponing a callback: %w", err)
	}
	return nil
}

// CallbackPaused leaves a tenant's receiver alone until a given time, and says whether status or reason is news. The first
// pause opens an incident, which lasts until CallbackResumed. The error is ErrNotFound when there is no such tenant.
func (s *Store) CallbackPaused(ctx context.Context, tenant, reason string, until time.Time) (changed bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		was, err := s.q.LockTenant(ctx, tx, tenant)
		if err != nil {
			return missing(err, ThingTenant, tenant, "locking the tenant")
		}
		changed = was.CallbackPausedUntil == nil || was.CallbackReason != reason
		err = s.q.PauseCallbacks(ctx, tx, dbsql.PauseCallbacksParams{ID: tenant, Until: until, Reason: reason})
		if err != nil {
			return fmt.Errorf("writing the pause: %w", err)
		}
		err = s.q.PostponeCallbacks(ctx, tx, dbsql.PostponeCallbacksParams{Tenant: tenant, Until: until})
		if err != nil {
			return fmt.Errorf("postponing callbacks: %w", err)
		}
		return s.openIncident(ctx, tx, dbsql.OpenIncidentParams{
			Tenant: tenant, Scope: string(ScopeCallback), Status: string(CallbackPaused), Reason: reason,
		})
	})
	return changed && err == nil, err
}

// CallbackResumed ends a pause, because the receiver works again or another one is to be tried: all that waits is due, and
// the incident is over. It says whether there was a pause; when there was none, nothing is written.
func (s *Store) CallbackResumed(ctx context.Context, tenant string) (changed bool, err error) {
	paused, err := s.q.CallbackIsPaused(ctx, s.pool, tenant)
	if err != nil {
		return false, missing(err, ThingTenant, tenant, "reading the pause")
	}
	if !paused {
		return false, nil
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		was, err := s.q.LockTenant(ctx, tx, tenant)
		if err != nil {
			return missing(err, ThingTenant, tenant, "locking the tenant")
		}
		changed = was.CallbackPausedUntil != nil
		if !changed {
			return nil
		}
		return s.resumeCallbacks(ctx, tx, tenant)
	})
	return changed && err == nil, err
}

func (s *Store) resumeCallbacks(ctx context.Context, tx pgx.Tx, tenant string) error {
	if err := s.q.ResumeCallbacks(ctx, tx, tenant); err != nil {
		return fmt.Errorf("ending the pause: %w", err)
	}
	if err := s.q.HastenCallbacks(ctx, tx, tenant); err != nil {
		return fmt.Errorf("making callbacks due: %w", err)
	}
	if err := s.q.NotifyCallbacks(ctx, tx); err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	return s.closeIncident(ctx, tx, tenant, ScopeCallback, "")
}
