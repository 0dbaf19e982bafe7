package model

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// OpenGrant notes a redirect that is under way. Grants that have expired are forgotten by the way.
func (s *Store) OpenGrant(ctx context.Context, g Grant) error {
	if err := s.q.ForgetGrants(ctx, s.pool); err != nil {
		return fmt.Errorf("deleting grants: %w", err)
	}
	err := s.q.InsertGrant(ctx, s.pool, dbsql.InsertGrantParams{
		Nonce: g.Nonce, Kind: string(g.Kind), Tenant: g.Tenant, Participant: g.Participant, Verifier: g.Verifier,
		ExpiresAt: g.ExpiresAt,
	})
	if err != nil {
		return fmt.Errorf("writing the grant: %w", err)
	}
	return nil
}

// UseGrant returns a grant and ends it: of several callers one gets it. The error is ErrNotFound for all others, and when the
// grant has expired.
func (s *Store) UseGrant(ctx context.Context, nonce string) (Grant, error) {
	row, err := s.q.UseGrant(ctx, s.pool, nonce)
	if err != nil {
		return Grant{}, missing(err, ThingGrant, nonce, "using the grant")
	}
	return Grant{
		Nonce: row.Nonce, Kind: GrantKind(row.Kind), Tenant: row.Tenant, Participant: row.Participant,
		Verifier: row.Verifier, ExpiresAt: row.ExpiresAt,
	}, nil
}

// SaveRefreshToken keeps a person's sealed refresh token. Version 0 is for one that came of a sign-in: it replaces any other.
// Otherwise version is that of the token with which this one was obtained, and it is kept only if that one is still the
// newest: several processes refresh at the same time, and Microsoft's newest token is the one that lives longest. It says
// whether the token is kept. The error is ErrNotFound when there is no such participant.
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens
func (s *Store) SaveRefreshToken(
	ctx context.Context, tenant, participant string, sealed []byte, version int64,
) (kept bool, err error) {
	if version != 0 {
		n, err := s.q.NextRefreshToken(ctx, s.pool, dbsql.NextRefreshTokenParams{
			Tenant: tenant, Participant: participant, Sealed: sealed, Version: version,
		})
		if err != nil {
			return false, fmt.Errorf("writing the refresh token: %w", err)
		}
		return n > 0, nil
	}
	_, err = s.q.NewRefreshToken(ctx, s.pool, dbsql.NewRefreshTokenParams{
		Tenant: tenant, Participant: participant, Sealed: sealed,
	})
	if violates(err, codeForeignKeyViolation, "refresh_tokens_tenant_participant_fkey") {
		return false, &MissingError{Thing: ThingParticipant, ID: participant}
	}
	if err != nil {
		return false, fmt.Errorf("writing the refresh token: %w", err)
	}
	return true, nil
}

// RefreshToken returns a person's sealed refresh token and its version. The error is ErrNotFound when there is none: the
// person has never signed in, or was disconnected.
func (s *Store) RefreshToken(ctx context.Context, tenant, participant string) (sealed []byte, version int64, err error) {
	row, err := s.q.GetRefreshToken(ctx, s.pool, dbsql.GetRefreshTokenParams{Tenant: tenant, Participant: participant})
	if err != nil {
		return nil, 0, missing(err, ThingRefreshToken, participant, "reading the refresh token")
	}
	return row.Sealed, row.Version, nil
}

// DeleteRefreshToken forgets a person's refresh token if it is still of that version; 0 means any.
func (s *Store) DeleteRefreshToken(ctx context.Context, tenant, participant string, version int64) (deleted bool, err error) {
	n, err := s.q.DeleteRefreshToken(ctx, s.pool, dbsql.DeleteRefreshTokenParams{
		Tenant: tenant, Participant: participant, Version: version,
	})
	if err != nil {
		return false, fmt.Errorf("deleting the refresh token: %w", err)
	}
	return n > 0, nil
}

// PutIntegrationRequest notes that a person asks for the integration. While a request of theirs is open, that one is
// returned and nothing is written. The error is ErrNotFound when there is no such participant.
func (s *Store) PutIntegrationRequest(
	ctx context.Context, r IntegrationRequest,
) (saved IntegrationRequest, created bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		n, err := s.q.InsertIntegrationRequest(ctx, tx, dbsql.InsertIntegrationRequestParams{
			ID: uuid.NewString(), Tenant: r.Tenant, Participant: r.Participant, Message: r.Message,
		})
		if violates(err, codeForeignKeyViolation, "integration_requests_tenant_participant_fkey") {
			return &MissingError{Thing: ThingParticipant, ID: r.Participant}
		}
		if err != nil {
			return fmt.Errorf("writing the integration request: %w", err)
		}
		created = n > 0
		row, err := s.q.OpenIntegrationRequest(ctx, tx, dbsql.OpenIntegrationRequestParams{
			Tenant: r.Tenant, Participant: r.Participant,
		})
		if err != nil {
			return fmt.Errorf("reading the integration request: %w", err)
		}
		saved = integrationRequestOf(row.IntegrationRequest)
		return nil
	})
	return saved, created, err
}

// IntegrationRequests lists a tenant's integration requests with a status, or all for an empty one, whose Number is greater
// than after, oldest first.
func (s *Store) IntegrationRequests(
	ctx context.Context, tenant string, status IntegrationStatus, after int64, limit int,
) ([]IntegrationRequest, error) {
	rows, err := s.q.ListIntegrationRequests(ctx, s.pool, dbsql.ListIntegrationRequestsParams{
		Tenant: tenant, Status: string(status), After: after, Count: page(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing integration requests: %w", err)
	}
	requests := make([]IntegrationRequest, 0, len(rows))
	for _, row := range rows {
		requests = append(requests, integrationRequestOf(row.IntegrationRequest))
	}
	return requests, nil
}

// AnswerIntegrationRequest answers an open request. The same answer again changes nothing; another one is ErrSettled. The
// error is ErrNotFound when there is no such request.
func (s *Store) AnswerIntegrationRequest(
	ctx context.Context, tenant, id string, status IntegrationStatus, answer string,
) (answered IntegrationRequest, err error) {
	if uuid.Validate(id) != nil {
		return IntegrationRequest{}, &MissingError{Thing: ThingIntegrationRequest, ID: id}
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		row, err := s.q.LockIntegrationRequest(ctx, tx, dbsql.LockIntegrationRequestParams{Tenant: tenant, ID: id})
		if err != nil {
			return missing(err, ThingIntegrationRequest, id, "locking the integration request")
		}
		answered = integrationRequestOf(row.IntegrationRequest)
		switch answered.Status {
		case status:
			return nil
		case IntegrationApproved, IntegrationDeclined:
			return ErrSettled
		case IntegrationOpen:
		}
		err = s.q.AnswerIntegrationRequest(ctx, tx, dbsql.AnswerIntegrationRequestParams{
			Tenant: tenant, ID: id, Status: string(status), Answer: answer,
		})
		if err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
		row, err = s.q.LockIntegrationRequest(ctx, tx, dbsql.LockIntegrationRequestParams{Tenant: tenant, ID: id})
		if err != nil {
			return fmt.Errorf("reading the integration request: %w", err)
		}
		answered = integrationRequestOf(row.IntegrationRequest)
		return nil
	})
	if err != nil && !errors.Is(err, ErrSettled) {
		return IntegrationRequest{}, err
	}
	return answered, err
}

func integrationRequestOf(r dbsql.IntegrationRequest) IntegrationRequest {
	return IntegrationRequest{
		ID: r.ID, Number: r.Number, Tenant: r.Tenant, Participant: r.Participant, Status: IntegrationStatus(r.Status),
		Message: r.Message, Answer: r.Answer, CreatedAt: r.CreatedAt, AnsweredAt: r.AnsweredAt,
	}
}
