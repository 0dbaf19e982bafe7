package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"pairsync/model"
)

const (
	// secretPrefix and secretSize are of the Standard Webhooks scheme: 24 to 64 random bytes in base64.
	// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
	secretPrefix = "whsec_"
	secretSize   = 32
	// oldSecretLives is how long the secret before signs too.
	oldSecretLives = 24 * time.Hour
)

// newCallbackSecret makes a secret, in the form in which the platform gets it and in the form in which it is stored.
func (c *Console) newCallbackSecret() (shown string, sealed []byte, err error) {
	raw := make([]byte, secretSize)
	if _, err := rand.Read(raw); err != nil {
		return "", nil, fmt.Errorf("making a callback secret: %w", err)
	}
	shown = secretPrefix + base64.StdEncoding.EncodeToString(raw)
	if sealed, err = c.sealer.Seal(model.PurposeCallbackSecret, []byte(shown)); err != nil {
		return "", nil, fmt.Errorf("sealing a callback secret: %w", err)
	}
	return shown, sealed, nil
}

// firstCallbackSecret gives a tenant with a callback URL its first secret. It is empty when the tenant has one already, which
// is never shown again.
func (c *Console) firstCallbackSecret(ctx context.Context, tenant model.Tenant) (string, error) {
	if tenant.CallbackURL == "" {
		return "", nil
	}
	shown, sealed, err := c.newCallbackSecret()
	if err != nil {
		return "", err
	}
	set, err := c.store.SetCallbackSecret(ctx, tenant.ID, sealed)
	if err != nil {
		return "", fmt.Errorf("storing the callback secret: %w", err)
	}
	if !set {
		return "", nil
	}
	return shown, nil
}

// rotateCallbackSecret makes a new secret and lets the one before sign too for a day.
func (c *Console) rotateCallbackSecret(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	if err := c.readNothing(w, r); err != nil {
		return err
	}
	if tenant.CallbackURL == "" {
		return &problemError{kind: kindConflict, field: "callback_url", detail: "the tenant has no callback_url, so nothing is signed: PUT the tenant with one first"}
	}
	shown, sealed, err := c.newCallbackSecret()
	if err != nil {
		return err
	}
	if err := c.store.RotateCallbackSecret(r.Context(), tenant.ID, sealed, oldSecretLives); err != nil {
		return fmt.Errorf("storing the callback secret: %w", err)
	}
	return writeJSON(w, http.StatusOK, struct {
		CallbackSecret   string    `json:"callback_secret"`
		OldSecretExpires time.Time `json:"old_secret_expires_at"`
	}{shown, time.Now().Add(oldSecretLives).UTC().Truncate(time.Second)})
}

// withCallbackSecret is a tenant as it is answered, with a member for the secret if there is one to show.
func withCallbackSecret(tenant model.Tenant, secret string) (any, error) {
	if secret == "" {
		return tenant, nil
	}
	raw, err := json.Marshal(tenant)
	if err != nil {
		return nil, fmt.Errorf("encoding the tenant: %w", err)
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("reading the encoded tenant: %w", err)
	}
	// The alphabet of base64 needs no escapes.
	members["callback_secret"] = json.RawMessage(`"` + secret + `"`)
	return members, nil
}
