package config

import (
	"fmt"
	"log/slog"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Load reads the environment of this process. The error is an *Error with every problem found. It takes empty variables
// with our prefix out of the environment first, so that an empty one means the default everywhere.
func Load(needs ...Need) (Config, error) {
	names, err := ours()
	if err != nil {
		return Config{}, err
	}
	var bad problems
	if err := sweepEnvironment(names, &bad); err != nil {
		return Config{}, err
	}

	var env environment
	if err := envconfig.Process(prefix, &env); err != nil {
		return Config{}, withoutValue(err)
	}
	var other foreign
	if err := envconfig.Process("", &other); err != nil {
		return Config{}, withoutValue(err)
	}

	r := reader{env: env, other: other, bad: &bad}
	cfg := r.read()
	for _, need := range needs {
		r.require(need, cfg)
	}
	r.combinations(cfg)
	if err := bad.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// sweepEnvironment removes empty variables with our prefix and notes those that nobody knows.
func sweepEnvironment(known []string, bad *problems) error {
	for _, entry := range os.Environ() { //nolint:forbidigo // This is the package that reads it.
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, prefix+"_"):
		case value == "":
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("removing the empty variable %s: %w", name, err)
			}
		case slices.Contains(known, name), serviceLink(name, value):
		default:
			bad.addForeign(name, unknown(name, known))
		}
	}
	return nil
}

// withoutValue takes the value out of envconfig's error. The types of environment never fail to parse, so that it is
// seen only when somebody adds a field of another type.
func withoutValue(err error) error {
	if parse, ok := asParseError(err); ok {
		return &Error{Problems: []Problem{{Variable: parse.KeyName, Message: "does not take this value"}}}
	}
	return fmt.Errorf("reading the environment: %w", err)
}

// reader turns the environment into a Config and notes what is wrong.
type reader struct {
	env   environment
	other foreign
	bad   *problems
}

// read checks every variable for itself.
func (r *reader) read() Config {
	e := r.env
	cfg := Config{
		DatabaseURL:           r.databaseURL(r.secret("DATABASE_URL", e.DatabaseURL, e.DatabaseURLFile)),
		NATSURL:               r.natsURL(r.secret("NATS_URL", e.NatsURL, e.NatsURLFile)),
		NATSCreds:             r.file("NATS_CREDS", e.NatsCreds),
		NATSReplicas:          r.between("NATS_REPLICAS", e.NatsReplicas, 1, 5),
		DataDir:               strings.TrimSpace(e.DataDir),
		PublicURL:             r.baseURL("PUBLIC_URL", e.PublicURL),
		ConsoleURL:            r.baseURL("CONSOLE_URL", e.ConsoleURL),
		WebhookAddr:           r.address("WEBHOOK_ADDR", e.WebhookAddr),
		ConsoleAddr:           r.address("CONSOLE_ADDR", e.ConsoleAddr),
		OpsAddr:               r.address("OPS_ADDR", e.OpsAddr),
		ClientID:              strings.TrimSpace(e.ClientID),
		ClientSecret:          r.secret("CLIENT_SECRET", e.ClientSecret, e.ClientSecretFile),
		ClientCertificateFile: r.file("CLIENT_CERTIFICATE_FILE", e.ClientCertificateFile),
		FederatedTokenFile:    strings.TrimSpace(r.other.AzureFederatedTokenFile),
		GraphURL:              r.baseURL("GRAPH_URL", e.GraphURL),
		AuthorityURL:          r.baseURL("AUTHORITY_URL", e.AuthorityURL),
		SecretKeys:            r.keys(r.secret("SECRET_KEYS", e.SecretKeys, e.SecretKeysFile)),
		APITokens:             r.tokens(r.secret("API_TOKENS", e.APITokens, e.APITokensFile)),
		SubscriptionLifetime:  r.atLeast("SUBSCRIPTION_LIFETIME", e.SubscriptionLifetime, time.Second),
		SweepInterval:         r.atLeast("SWEEP_INTERVAL", e.SweepInterval, time.Second),
		LogLevel:              r.level(e.LogLevel),
		LogFormat:             r.oneOf("LOG_FORMAT", e.LogFormat, "json", "text"),
		OTLPEndpoint:          r.otlp(),
		CallbackAllowPrivate:  r.truth("CALLBACK_ALLOW_PRIVATE", e.CallbackAllowPrivate),
		GraphConcurrency:      r.between("GRAPH_CONCURRENCY", e.GraphConcurrency, 1, 10_000),
		MailboxConcurrency:    r.between("MAILBOX_CONCURRENCY", e.MailboxConcurrency, 1, 4),
		SMTPURL:               r.smtpURL(r.secret("SMTP_URL", e.SmtpURL, e.SmtpURLFile)),
		MailFrom:              r.mailFrom(e.MailFrom),
		Migrate:               r.truth("MIGRATE", e.Migrate),
	}
	if cfg.ConsoleURL == nil && cfg.PublicURL != nil {
		cfg.ConsoleURL = consoleURL(cfg.PublicURL, cfg.ConsoleAddr)
	}
	return cfg
}

// require notes what is missing for a need.
func (r *reader) require(need Need, cfg Config) {
	switch need {
	case NeedPublicURL:
		if r.env.PublicURL == "" {
			r.bad.add("PUBLIC_URL", "is required: the base URL at which Graph reaches the webhook role, such as https://pairsync.example.org")
		}
	case NeedClient:
		if cfg.ClientID == "" {
			r.bad.add("CLIENT_ID", "is required: the application (client) id of the Entra application")
		}
		given := !r.env.ClientSecret.Empty() || r.env.ClientSecretFile != "" || r.env.ClientCertificateFile != ""
		if !given && cfg.FederatedTokenFile == "" {
			r.bad.add("CLIENT_SECRET", "is required unless there is "+variable("CLIENT_CERTIFICATE_FILE")+
				" or, for workload identity, AZURE_FEDERATED_TOKEN_FILE")
		}
	case NeedKeys:
		if r.env.SecretKeys.Empty() && r.env.SecretKeysFile == "" {
			r.bad.add("SECRET_KEYS", "is required: comma-separated base64 32-byte keys, one can be made with: openssl rand -base64 32")
		}
	}
}

// combinations notes values that are good alone and cannot work together.
func (r *reader) combinations(cfg Config) {
	if !cfg.ClientSecret.Empty() && cfg.ClientCertificateFile != "" {
		r.bad.add("CLIENT_CERTIFICATE_FILE", "cannot be set together with "+variable("CLIENT_SECRET")+": the application signs in with one of them")
	}
	if cfg.NATSCreds != "" && cfg.NATSURL.Empty() {
		r.bad.add("NATS_CREDS", "is for the servers of "+variable("NATS_URL")+", which is not set")
	}
	if cfg.NATSReplicas > 1 && cfg.NATSURL.Empty() {
		r.bad.add("NATS_REPLICAS", "takes 1 unless "+variable("NATS_URL")+" names a cluster")
	}
	if cfg.GraphConcurrency > 0 && cfg.MailboxConcurrency > cfg.GraphConcurrency {
		r.bad.add("MAILBOX_CONCURRENCY", "cannot be more than "+variable("GRAPH_CONCURRENCY"))
	}
	if cfg.SMTPURL.Empty() != (cfg.MailFrom == "") {
		r.bad.add("MAIL_FROM", "and "+variable("SMTP_URL")+" are needed together")
	}
	r.distinct(map[string]string{"WEBHOOK_ADDR": cfg.WebhookAddr, "CONSOLE_ADDR": cfg.ConsoleAddr, "OPS_ADDR": cfg.OpsAddr})
}

// distinct notes listen addresses that are used twice.
func (r *reader) distinct(addrs map[string]string) {
	seen := map[string]string{}
	for _, name := range []string{"WEBHOOK_ADDR", "CONSOLE_ADDR", "OPS_ADDR"} {
		addr := addrs[name]
		if first, taken := seen[addr]; taken && addr != "" && !strings.HasSuffix(addr, ":0") {
			r.bad.add(name, "takes another address than "+variable(first))
		}
		seen[addr] = name
	}
}

// level reads LOG_LEVEL.
func (r *reader) level(value string) slog.Level {
	words := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	return words[r.oneOf("LOG_LEVEL", value, "debug", "info", "warn", "error")]
}

// mailFrom reads MAIL_FROM.
func (r *reader) mailFrom(value string) string {
	value = strings.TrimSpace(value)
	if value == "" {
		return ""
	}
	if _, err := mail.ParseAddress(value); err != nil {
		r.bad.add("MAIL_FROM", "takes an e-mail address, such as pairsync@example.org")
		return ""
	}
	return value
}
