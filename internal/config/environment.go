package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// prefix is what the names of all our own variables begin with, without the underscore.
const prefix = "PAIRSYNC"

// environment is the environment as it stands there. Field names give the variables' names, split at capitals; the tags
// are what `pairsync serve --help` shows. No field uses envconfig's name tag: it would also read the variable without
// its prefix.
type environment struct {
	DatabaseURL           Secret   `split_words:"true" desc:"PostgreSQL 14 or newer, postgres://…; empty: a local one under DATA_DIR"`
	DatabaseURLFile       string   `split_words:"true" desc:"file that holds DATABASE_URL"`
	NatsURL               Secret   `split_words:"true" desc:"NATS servers, comma separated; empty: one inside the process, under DATA_DIR"`
	NatsURLFile           string   `split_words:"true" desc:"file that holds NATS_URL"`
	NatsCreds             string   `split_words:"true" desc:"NATS credentials file"`
	NatsReplicas          number   `split_words:"true" default:"1" desc:"replicas of every stream, 1 to 5"`
	DataDir               string   `split_words:"true" default:"./pairsync-data" desc:"where embedded parts keep their data"`
	PublicURL             string   `split_words:"true" desc:"base URL at which Graph reaches the webhook role; https, http only on loopback"`
	ConsoleURL            string   `split_words:"true" desc:"base URL at which browsers reach the console; empty: PUBLIC_URL's host with the console's port"`
	WebhookAddr           string   `split_words:"true" default:":8080" desc:"listen address of the webhook server"`
	ConsoleAddr           string   `split_words:"true" default:":8081" desc:"listen address of the console and API server"`
	OpsAddr               string   `split_words:"true" default:":9090" desc:"listen address of the metrics and health server"`
	ClientID              string   `split_words:"true" desc:"application (client) id of the Entra application"`
	ClientSecret          Secret   `split_words:"true" desc:"its secret"`
	ClientSecretFile      string   `split_words:"true" desc:"file that holds CLIENT_SECRET"`
	ClientCertificateFile string   `split_words:"true" desc:"its certificate and key, PEM or PKCS#12, instead of a secret"`
	GraphURL              string   `split_words:"true" default:"https://graph.microsoft.com/v1.0" desc:"Graph service root with version"`
	AuthorityURL          string   `split_words:"true" default:"https://login.microsoftonline.com" desc:"Entra authority"`
	SecretKeys            Secret   `split_words:"true" desc:"comma-separated base64 32-byte keys; the first signs, all of them verify"`
	SecretKeysFile        string   `split_words:"true" desc:"file that holds SECRET_KEYS"`
	APITokens             Secret   `split_words:"true" desc:"comma-separated name:token or name@tenant-id:token; empty: the API refuses everyone"`
	APITokensFile         string   `split_words:"true" desc:"file that holds API_TOKENS"`
	SubscriptionLifetime  duration `split_words:"true" default:"166h" desc:"life asked of Graph for a subscription, clamped to what Graph allows"`
	SweepInterval         duration `split_words:"true" default:"6h" desc:"how often every upcoming session is verified against Outlook"`
	LogLevel              string   `split_words:"true" default:"info" desc:"debug, info, warn or error"`
	LogFormat             string   `split_words:"true" default:"json" desc:"json or text"`
	CallbackAllowPrivate  truth    `split_words:"true" default:"false" desc:"allow callback targets on private, loopback and link-local addresses"`
	GraphConcurrency      number   `split_words:"true" default:"64" desc:"Graph calls at once for the whole process"`
	MailboxConcurrency    number   `split_words:"true" default:"3" desc:"Graph calls at once for one mailbox, 1 to 4"`
	SmtpURL               Secret   `split_words:"true" desc:"smtp:// or smtps:// server through which integration owners are told of failures"`
	SmtpURLFile           string   `split_words:"true" desc:"file that holds SMTP_URL"`
	MailFrom              string   `split_words:"true" desc:"sender of those mails"`
	Migrate               truth    `split_words:"true" default:"true" desc:"bring the database schema up to date at start"`
}

// foreign holds the variables that other software has named, so they carry no prefix.
type foreign struct {
	OtelExporterOtlpEndpoint string `split_words:"true" desc:"traces are sent there when set"`
	AzureFederatedTokenFile  string `split_words:"true" desc:"workload identity: file of the federated token"`
}

// The Decode methods below never return an error: envconfig stops at the first one and prints the value with it. What is
// wrong is kept beside the value instead, and reported with everything else.

// number is a whole number.
type number struct {
	value   int
	invalid bool
}

// Decode takes the value of a variable.
func (n *number) Decode(value string) error {
	v, err := strconv.Atoi(strings.TrimSpace(value))
	*n = number{value: v, invalid: err != nil}
	return nil
}

// duration is a length of time in Go syntax.
type duration struct {
	value   time.Duration
	invalid bool
}

// Decode takes the value of a variable.
func (d *duration) Decode(value string) error {
	v, err := time.ParseDuration(strings.TrimSpace(value))
	*d = duration{value: v, invalid: err != nil}
	return nil
}

// truth is true or false.
type truth struct {
	value   bool
	invalid bool
}

// Decode takes the value of a variable.
func (b *truth) Decode(value string) error {
	v, err := parseBool(strings.ToLower(strings.TrimSpace(value)))
	*b = truth{value: v, invalid: err != nil}
	return nil
}

// parseBool knows the words that people write into manifests, which strconv.ParseBool does not all take.
func parseBool(word string) (bool, error) {
	switch word {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	default:
		return false, errors.New("not a truth value")
	}
}
