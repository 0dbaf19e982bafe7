package graph

import (
	"fmt"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// CredentialExpiry tells when the application's certificate expires, from its file as it is now. It says false where that
// can't be known: Entra tells nobody when a client secret ends, and a federated token is renewed by whoever issues it.
func (c *Client) CredentialExpiry() (at time.Time, known bool, err error) {
	cfg := c.tokens.cfg
	if cfg.ClientSecret != "" || cfg.ClientCertificateFile == "" {
		return time.Time{}, false, nil
	}
	raw, err := os.ReadFile(cfg.ClientCertificateFile)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading the client certificate: %w", err)
	}
	certificates, _, err := azidentity.ParseCertificates(raw, nil)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading the client certificate: %w", err)
	}
	for _, certificate := range certificates {
		// The chain is only as good as its first end.
		if at.IsZero() || certificate.NotAfter.Before(at) {
			at = certificate.NotAfter
		}
	}
	return at, !at.IsZero(), nil
}
