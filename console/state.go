package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pairsync/model"
)

const (
	// grantLifetime is how long a link to Microsoft is good.
	grantLifetime = 15 * time.Minute
	// maxState is the longest state that is looked at, in bytes.
	maxState = 1024
)

// purposeState is what a state is sealed for, so that nothing else can be taken for one.
const purposeState model.Purpose = "console-state"

// state is what goes through Microsoft and back, sealed: it can be neither read nor made by anybody else.
type state struct {
	Nonce     string          `json:"n"`
	Kind      model.GrantKind `json:"k"`
	ExpiresAt int64           `json:"e"`
}

var (
	// errBadState is a state that we didn't make, or that is for something else.
	errBadState = errors.New("the state is not one of ours")
	// errOldState is a state of ours that has expired or was used.
	errOldState = errors.New("the state has expired or was used")
)

// openGrant keeps a grant and gives the state that stands for it.
func (c *Console) openGrant(ctx context.Context, grant model.Grant, now time.Time) (string, error) {
	grant.Nonce, grant.ExpiresAt = rand.Text(), now.Add(grantLifetime)
	if err := c.store.OpenGrant(ctx, grant); err != nil {
		return "", fmt.Errorf("keeping the grant: %w", err)
	}
	plain, err := json.Marshal(state{grant.Nonce, grant.Kind, grant.ExpiresAt.Unix()})
	if err != nil {
		return "", fmt.Errorf("writing the state: %w", err)
	}
	sealed, err := c.sealer.Seal(purposeState, plain)
	if err != nil {
		return "", fmt.Errorf("sealing the state: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// readState judges a state by itself, without the database, so that strangers can't keep that busy.
func (c *Console) readState(given string, kind model.GrantKind, now time.Time) (state, error) {
	var s state
	if given == "" || len(given) > maxState {
		return s, errBadState
	}
	sealed, err := base64.RawURLEncoding.DecodeString(given)
	if err != nil {
		return s, errBadState
	}
	plain, err := c.sealer.Open(purposeState, sealed)
	if err != nil || json.Unmarshal(plain, &s) != nil || s.Kind != kind {
		return s, errBadState
	}
	if !now.Before(time.Unix(s.ExpiresAt, 0)) {
		return s, errOldState
	}
	return s, nil
}

// useGrant uses the grant of a state up. The error is errOldState when somebody has done so before.
func (c *Console) useGrant(ctx context.Context, s state) (model.Grant, error) {
	grant, err := c.store.UseGrant(ctx, s.Nonce)
	if errors.Is(err, model.ErrNotFound) || err == nil && grant.Kind != s.Kind {
		return model.Grant{}, errOldState
	}
	if err != nil {
		return model.Grant{}, fmt.Errorf("using the grant: %w", err)
	}
	return grant, nil
}
