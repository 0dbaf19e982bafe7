package callback

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// secretPrefix is how a secret of the scheme begins; standard base64 of the key follows.
const secretPrefix = "whsec_"

// secretSize is in bytes; the scheme asks for 24 to 64.
const secretSize = 32

// NewSecret makes a secret as the scheme writes it: whsec_ and a random key in base64.
func NewSecret() string {
	key := make([]byte, secretSize)
	_, _ = rand.Read(key) // It never fails: https://pkg.go.dev/crypto/rand#Read
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

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
