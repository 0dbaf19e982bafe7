package callback

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// sign sets the three headers of the scheme: one signature for each secret, in their order.
func sign(header http.Header, m Message) error {
	if len(m.Secrets) == 0 {
		return errors.New("no secret to sign with")
	}
	signatures := make([]string, 0, len(m.Secrets))
	for _, secret := range m.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return errors.New("a secret is not whsec_ and base64") // The library's error may hold the secret.
		}
		signature, err := signer.Sign(m.ID, m.SentAt, m.Body)
		if err != nil {
			return fmt.Errorf("signing: %w", err)
		}
		signatures = append(signatures, signature)
	}
	header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, timestamp(m.SentAt))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// timestamp is in whole seconds since 1970.
func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
