package config

import (
	"log/slog"
	"net/url"
	"time"
)

// Config is everything that an operator can set, checked and in the form in which it is used.
type Config struct {
	// DatabaseURL is empty when pairsync has to start a PostgreSQL of its own.
	DatabaseURL Secret
	// NATSURL is empty when NATS has to run inside the process.
	NATSURL Secret
	// NATSCreds is the path of a credentials file; empty: none.
	NATSCreds    string
	NATSReplicas int
	DataDir      string
	// PublicURL and ConsoleURL have no trailing slash. They are nil only where Load was not asked for NeedPublicURL and
	// the variables are not set.
	PublicURL   *url.URL
	ConsoleURL  *url.URL
	WebhookAddr string
	ConsoleAddr string
	OpsAddr     string

	ClientID              string
	ClientSecret          Secret
	ClientCertificateFile string
	// FederatedTokenFile is read only when there is neither secret nor certificate.
	FederatedTokenFile string
	GraphURL           *url.URL
	AuthorityURL       *url.URL

	// SecretKeys are 32 bytes each. The first signs, all verify.
	SecretKeys Keys
	APITokens  []APIToken

	SubscriptionLifetime time.Duration
	SweepInterval        time.Duration
	LogLevel             slog.Level
	// LogFormat is "json" or "text".
	LogFormat string
	// OTLPEndpoint is empty when no traces are sent.
	OTLPEndpoint         string
	CallbackAllowPrivate bool
	GraphConcurrency     int
	MailboxConcurrency   int
	// SMTPURL and MailFrom are both empty or both set.
	SMTPURL  Secret
	MailFrom string
	// Migrate says whether serve brings the schema up to date at start.
	Migrate bool
}

// APIToken is one bearer token of the platform API.
type APIToken struct {
	// Name is who uses the token; it is logged.
	Name string
	// Tenant is the only tenant that the token may see, lower case; empty: all.
	Tenant string
	Token  Secret
}

// Keys are secret keys, 32 bytes each, that print as "[redacted]".
type Keys []Secret

// Reveal returns the keys themselves.
func (k Keys) Reveal() [][]byte {
	keys := make([][]byte, 0, len(k))
	for _, key := range k {
		keys = append(keys, []byte(key.Reveal()))
	}
	return keys
}

// Need is something that a subcommand cannot do without, though other subcommands can.
type Need uint8

// The needs.
const (
	// NeedPublicURL asks for PUBLIC_URL.
	NeedPublicURL Need = iota
	// NeedClient asks for CLIENT_ID and a credential of the application.
	NeedClient
	// NeedKeys asks for SECRET_KEYS.
	NeedKeys
)
