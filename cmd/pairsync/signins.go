package main

import (
	"context"
	"errors"
	"fmt"

	"pairsync/internal/graph"
	"pairsync/model"
)

// signIns keeps the sign-ins of people who connected their own calendar: sealed, in the database. It is a graph.Delegated.
type signIns struct {
	store  *late[*model.Store]
	sealer *model.Sealer
}

// PerUser says whether an organisation's people connect their calendars on their own.
func (s *signIns) PerUser(ctx context.Context, tenant string) (bool, error) {
	store, err := s.store.get()
	if err != nil {
		return false, fmt.Errorf("the database %w", err)
	}
	t, err := store.Tenant(ctx, tenant)
	if errors.Is(err, model.ErrNotFound) {
		return false, nil
	}
	return t.Method == model.MethodPerUser, err
}

// RefreshToken gives the newest refresh token of a mailbox's owner; empty when there is none, or none that can be opened: to
// sign in again is then the only way.
func (s *signIns) RefreshToken(ctx context.Context, mb graph.Mailbox) (string, error) {
	_, token, _, err := s.newest(ctx, mb)
	return token, err
}

// SaveRefreshToken puts newest in the place of used, unless somebody else was faster.
func (s *signIns) SaveRefreshToken(ctx context.Context, mb graph.Mailbox, used, newest string) error {
	participant, token, version, err := s.newest(ctx, mb)
	if err != nil || token != used || version == 0 {
		return err
	}
	sealed, err := s.sealer.Seal(model.PurposeRefreshToken, []byte(newest))
	if err != nil {
		return err
	}
	store, err := s.store.get()
	if err != nil {
		return fmt.Errorf("the database %w", err)
	}
	_, err = store.SaveRefreshToken(ctx, mb.Tenant, participant, sealed, version)
	return err
}

// newest reads the stored token of a mailbox's owner with its version; version is 0 when there is none.
func (s *signIns) newest(ctx context.Context, mb graph.Mailbox) (participant, token string, version int64, err error) {
	store, err := s.store.get()
	if err != nil {
		return "", "", 0, fmt.Errorf("the database %w", err)
	}
	participant, err = store.ParticipantOfMailbox(ctx, mb.Tenant, mb.User)
	if errors.Is(err, model.ErrNotFound) {
		return "", "", 0, nil
	}
	if err != nil {
		return "", "", 0, err
	}
	sealed, version, err := store.RefreshToken(ctx, mb.Tenant, participant)
	if errors.Is(err, model.ErrNotFound) {
		return participant, "", 0, nil
	}
	if err != nil {
		return "", "", 0, err
	}
	plain, err := s.sealer.Open(model.PurposeRefreshToken, sealed)
	if errors.Is(err, model.ErrSealed) {
		return participant, "", 0, nil
	}
	return participant, string(plain), version, err
}
