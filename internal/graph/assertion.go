package graph

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Entra names certificates by it; nothing is proved with it.
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// errNoAssertion says that there is nothing to prove ourselves with.
var errNoAssertion = errors.New("the client certificate or the federated token's file can't be read")

// assertionLife is how long a signed assertion may be used; it is made for each request.
const assertionLife = 5 * time.Minute

// newAssertion gives what proves that it is us where there is no secret: a token signed with the certificate's key, or the one
// that the platform we run on hands out. Files are read each time, since both are renewed in place.
func newAssertion(cfg Config) (func(audience string) (string, error), error) {
	switch {
	case cfg.ClientCertificateFile != "":
		return func(audience string) (string, error) { return signedAssertion(cfg, audience) }, nil
	case cfg.FederatedTokenFile != "":
		return func(string) (string, error) {
			token, err := os.ReadFile(cfg.FederatedTokenFile)
			if err != nil {
				return "", fmt.Errorf("%w: %w", errNoAssertion, err)
			}
			return strings.TrimSpace(string(token)), nil
		}, nil
	}
	return nil, errors.New("no credential: a client secret, a client certificate or a federated token file is needed")
}

// signedAssertion is the JWT that Entra asks of an application with a certificate.
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
func signedAssertion(cfg Config, audience string) (string, error) {
	pem, err := os.ReadFile(cfg.ClientCertificateFile)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoAssertion, err)
	}
	certificates, key, err := azidentity.ParseCertificates(pem, nil)
	if err != nil || len(certificates) == 0 {
		return "", errNoAssertion
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return "", fmt.Errorf("%w: its key is not RSA", errNoAssertion)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.RegisteredClaims{
		Issuer: cfg.ClientID, Subject: cfg.ClientID, Audience: jwt.ClaimStrings{audience}, ID: uuid.NewString(),
		NotBefore: jwt.NewNumericDate(now.Add(-time.Minute)), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(assertionLife)),
	})
	thumbprint, old := sha256.Sum256(certificates[0].Raw), sha1.Sum(certificates[0].Raw) //nolint:gosec // As above.
	token.Header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(thumbprint[:])
	token.Header["x5t"] = base64.RawURLEncoding.EncodeToString(old[:])
	signed, err := token.SignedString(private)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoAssertion, err)
	}
	return signed, nil
}

// asserting adds our proof to every request to the token endpoint. Package oauth2 has no place for it in a refresh.
type asserting struct {
	base  http.RoundTripper
	prove func(audience string) (string, error)
}

// RoundTrip sends a copy of the form with the assertion in it.
func (a asserting) RoundTrip(req *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(req.Body)
	closeErr := req.Body.Close()
	if err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("reading a form: %w", err)
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, fmt.Errorf("reading a form: %w", err)
	}
	proof, err := a.prove(req.URL.String())
	if err != nil {
		return nil, err
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", proof)
	body := []byte(form.Encode())
	asserted := req.Clone(req.Context())
	asserted.Body, asserted.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return a.base.RoundTrip(asserted)
}
