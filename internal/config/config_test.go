package config

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setEnvironment makes values the whole environment with our prefix, until the test ends.
func setEnvironment(t *testing.T, values map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, old, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PAIRSYNC_") || strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "AZURE_") {
			t.Setenv(name, old) // Restored at the end.
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range values {
		if !strings.HasPrefix(name, "OTEL_") && !strings.HasPrefix(name, "AZURE_") {
			name = "PAIRSYNC_" + name
		}
		t.Setenv(name, value)
	}
}

// key returns a key in base64 whose bytes are all b.
func key(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))
}

// working is an environment that serve accepts.
func working() map[string]string {
	return map[string]string{
		"PUBLIC_URL":    "https://pairsync.contoso.example/",
		"CLIENT_ID":     "11111111-2222-3333-4444-555555555555",
		"CLIENT_SECRET": "the-client-secret",
		"SECRET_KEYS":   key('a') + "," + key('b'),
	}
}

var serveNeeds = []Need{NeedPublicURL, NeedClient, NeedKeys}

func TestDefaultsAreTheContracts(t *testing.T) {
	setEnvironment(t, working())
	got, err := Load(serveNeeds...)
	if err != nil {
		t.Fatal(err)
	}
	type figures struct {
		DataDir, Webhook, Console, Ops, Graph, Authority, Public, ConsoleURL, Format string
		Lifetime, Sweep                                                              time.Duration
		Replicas, GraphCalls, MailboxCalls                                           int
		Level                                                                        slog.Level
		AllowPrivate, Migrate                                                        bool
	}
	want := figures{
		DataDir: "./pairsync-data", Webhook: ":8080", Console: ":8081", Ops: ":9090",
		Graph: "https://graph.microsoft.com/v1.0", Authority: "https://login.microsoftonline.com",
		Public: "https://pairsync.contoso.example", ConsoleURL: "https://pairsync.contoso.example:8081", Format: "json",
		Lifetime: 166 * time.Hour, Sweep: 6 * time.Hour,
		Replicas: 1, GraphCalls: 64, MailboxCalls: 3,
		Level: slog.LevelInfo, Migrate: true,
	}
	have := figures{
		DataDir: got.DataDir, Webhook: got.WebhookAddr, Console: got.ConsoleAddr, Ops: got.OpsAddr,
		Graph: got.GraphURL.String(), Authority: got.AuthorityURL.String(),
		Public: got.PublicURL.String(), ConsoleURL: got.ConsoleURL.String(), Format: got.LogFormat,
		Lifetime: got.SubscriptionLifetime, Sweep: got.SweepInterval,
		Replicas: got.NATSReplicas, GraphCalls: got.GraphConcurrency, MailboxCalls: got.MailboxConcurrency,
		Level: got.LogLevel, AllowPrivate: got.CallbackAllowPrivate, Migrate: got.Migrate,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if keys := got.SecretKeys.Reveal(); len(keys) != 2 || string(keys[0]) != strings.Repeat("a", 32) {
		t.Errorf("the keys are %d, or not in their order", len(keys))
	}
}

func TestEmptyVariablesAreUnset(t *testing.T) {
	env := working()
	for _, name := range []string{"NATS_REPLICAS", "SWEEP_INTERVAL", "MIGRATE", "WEBHOOK_ADDR", "LOG_LEVEL", "DATABASE_URL", "NATS_URL_FILE", "SPELT_WRONG"} {
		env[name] = ""
	}
	setEnvironment(t, env)
	got, err := Load(serveNeeds...)
	if err != nil {
		t.Fatal(err)
	}
	if got.NATSReplicas != 1 || got.SweepInterval != 6*time.Hour || !got.Migrate || got.WebhookAddr != ":8080" {
		t.Errorf("an empty variable is not the default: %+v", got)
	}
}

func TestValuesAreRead(t *testing.T) {
	env := working()
	env["API_TOKENS"] = "platform:tok-1, school@AAAA-bbbb:tok:2"
	env["SECRET_KEYS"] = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff\xfe", 16)))
	env["LOG_LEVEL"] = "WARN"
	env["MIGRATE"] = "no"
	env["CONSOLE_URL"] = "http://127.0.0.1:1234"
	env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://collector:4318"
	setEnvironment(t, env)
	got, err := Load(serveNeeds...)
	if err != nil {
		t.Fatal(err)
	}
	type token struct{ Name, Tenant, Token string }
	var tokens []token
	for _, tok := range got.APITokens {
		tokens = append(tokens, token{tok.Name, tok.Tenant, tok.Token.Reveal()})
	}
	want := []token{{"platform", "", "tok-1"}, {"school", "aaaa-bbbb", "tok:2"}}
	if diff := cmp.Diff(want, tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if string(got.SecretKeys.Reveal()[0]) != strings.Repeat("\xff\xfe", 16) {
		t.Error("a key in the URL alphabet was not read")
	}
	if got.LogLevel != slog.LevelWarn || got.Migrate || got.ConsoleURL.String() != "http://127.0.0.1:1234" {
		t.Errorf("values were not read: %+v", got)
	}
	if got.OTLPEndpoint != "http://collector:4318" {
		t.Errorf("OTLPEndpoint = %q", got.OTLPEndpoint)
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	env := working()
	for name, value := range map[string]string{
		"CLIENT_SECRET": "from a file", "SECRET_KEYS": key('c'), "API_TOKENS": "a:b",
		"DATABASE_URL": "postgres://u:p@db/x", "NATS_URL": "nats://a:4222,tls://b:4222", "SMTP_URL": "smtp://mail:587",
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		delete(env, name)
		env[name+"_FILE"] = path
	}
	env["MAIL_FROM"] = "pairsync@contoso.example"
	setEnvironment(t, env)
	got, err := Load(serveNeeds...)
	if err != nil {
		t.Fatal(err)
	}
	if got.ClientSecret.Reveal() != "from a file" || string(got.SecretKeys.Reveal()[0]) != strings.Repeat("c", 32) ||
		got.APITokens[0].Token.Reveal() != "b" || got.DatabaseURL.Reveal() != "postgres://u:p@db/x" ||
		got.NATSURL.Reveal() != "nats://a:4222,tls://b:4222" || got.SMTPURL.Reveal() != "smtp://mail:587" {
		t.Error("a secret was not read from its file")
	}
}

// TestBadValues changes one variable of a working environment at a time. The one problem must name the variable and what
// it takes, and must not hold the value.
func TestBadValues(t *testing.T) {
	const shown = "S3CRET-value"
	for _, tt := range []struct{ variable, value, problem string }{
		{"DATABASE_URL", "mysql://" + shown + "@db/x", "PAIRSYNC_DATABASE_URL takes postgres://"},
		{"DATABASE_URL", shown, "PAIRSYNC_DATABASE_URL takes postgres://"},
		{"DATABASE_URL_FILE", shown, "PAIRSYNC_DATABASE_URL_FILE takes the path of a file that can be read: no such file"},
		{"NATS_URL", "nats://ok:4222," + shown, "PAIRSYNC_NATS_URL takes comma-separated servers"},
		{"NATS_CREDS", "/nowhere/" + shown, "PAIRSYNC_NATS_CREDS takes the path"},
		{"NATS_REPLICAS", "three", "PAIRSYNC_NATS_REPLICAS takes a whole number from 1 to 5"},
		{"NATS_REPLICAS", "6", "PAIRSYNC_NATS_REPLICAS takes a whole number from 1 to 5"},
		{"NATS_REPLICAS", "3", "PAIRSYNC_NATS_REPLICAS takes 1 unless PAIRSYNC_NATS_URL"},
		{"PUBLIC_URL", "pairsync.example", "PAIRSYNC_PUBLIC_URL takes an absolute URL"},
		{"PUBLIC_URL", "http://pairsync.example", "plain http:// is for loopback"},
		{"PUBLIC_URL", "https://a.example/?q=" + shown, "PAIRSYNC_PUBLIC_URL takes a URL without user"},
		{"CONSOLE_URL", "ftp://a.example", "PAIRSYNC_CONSOLE_URL takes an absolute URL"},
		{"WEBHOOK_ADDR", "8080", "PAIRSYNC_WEBHOOK_ADDR takes a listen address"},
		{"CONSOLE_ADDR", ":http", "PAIRSYNC_CONSOLE_ADDR takes a listen address"},
		{"OPS_ADDR", ":99999", "PAIRSYNC_OPS_ADDR takes a listen address"},
		{"OPS_ADDR", ":8080", "PAIRSYNC_OPS_ADDR takes another address than PAIRSYNC_WEBHOOK_ADDR"},
		{"CLIENT_SECRET_FILE", "/nowhere", "PAIRSYNC_CLIENT_SECRET_FILE cannot be set together with PAIRSYNC_CLIENT_SECRET"},
		{"CLIENT_CERTIFICATE_FILE", "/nowhere/at/all.pem", "PAIRSYNC_CLIENT_CERTIFICATE_FILE takes the path of a file"},
		{"GRAPH_URL", "http://graph.example/v1.0", "PAIRSYNC_GRAPH_URL takes a URL that begins with https://"},
		{"AUTHORITY_URL", "login.example", "PAIRSYNC_AUTHORITY_URL takes an absolute URL"},
		{"SECRET_KEYS", key('a') + "," + shown, "PAIRSYNC_SECRET_KEYS takes comma-separated keys of 32 bytes in base64; number 2 is not one"},
		{"API_TOKENS", shown, "PAIRSYNC_API_TOKENS takes comma-separated name:token"},
		{"API_TOKENS", "a@:" + shown, "number 1 is not one"},
		{"API_TOKENS", "a:" + shown + ",b:" + shown, "number 2 is there already"},
		{"SUBSCRIPTION_LIFETIME", "7d", "PAIRSYNC_SUBSCRIPTION_LIFETIME takes a duration"},
		{"SWEEP_INTERVAL", "-1h", "PAIRSYNC_SWEEP_INTERVAL takes a duration"},
		{"LOG_LEVEL", "loud", "PAIRSYNC_LOG_LEVEL takes one of debug, info, warn, error"},
		{"LOG_FORMAT", "xml", "PAIRSYNC_LOG_FORMAT takes one of json, text"},
		{"CALLBACK_ALLOW_PRIVATE", "maybe", "PAIRSYNC_CALLBACK_ALLOW_PRIVATE takes true or false"},
		{"GRAPH_CONCURRENCY", "0", "PAIRSYNC_GRAPH_CONCURRENCY takes a whole number"},
		{"GRAPH_CONCURRENCY", "2", "PAIRSYNC_MAILBOX_CONCURRENCY cannot be more than PAIRSYNC_GRAPH_CONCURRENCY"},
		{"MAILBOX_CONCURRENCY", "5", "PAIRSYNC_MAILBOX_CONCURRENCY takes a whole number from 1 to 4"},
		{"SMTP_URL", "mail." + shown, "PAIRSYNC_SMTP_URL takes smtp://"},
		{"SMTP_URL", "smtp://mail.example", "PAIRSYNC_MAIL_FROM and PAIRSYNC_SMTP_URL are needed together"},
		{"MAIL_FROM", "nobody", "PAIRSYNC_MAIL_FROM takes an e-mail address"},
		{"MIGRATE", "later", "PAIRSYNC_MIGRATE takes true or false"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "OTEL_EXPORTER_OTLP_ENDPOINT takes the base URL"},
		{"SWEEP_INTERVALL", "1h", "PAIRSYNC_SWEEP_INTERVALL is not a variable of pairsync; did you mean PAIRSYNC_SWEEP_INTERVAL?"},
		{"COLOUR", "red", "PAIRSYNC_COLOUR is not a variable of pairsync; pairsync serve --help lists them"},
	} {
		t.Run(tt.variable+"="+tt.value, func(t *testing.T) {
			env := working()
			env[tt.variable] = tt.value
			setEnvironment(t, env)
			_, err := Load(serveNeeds...)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("got  %s\nwant %s", err, tt.problem)
			}
			if strings.Contains(err.Error(), shown) {
				t.Errorf("the value is in the error: %s", err)
			}
		})
	}
}

func TestMissingValues(t *testing.T) {
	for _, tt := range []struct {
		name, without string
		needs         []Need
		problem       string
	}{
		{"public URL", "PUBLIC_URL", serveNeeds, "PAIRSYNC_PUBLIC_URL is required"},
		{"client id", "CLIENT_ID", serveNeeds, "PAIRSYNC_CLIENT_ID is required"},
		{"credential", "CLIENT_SECRET", serveNeeds, "PAIRSYNC_CLIENT_SECRET is required unless"},
		{"keys", "SECRET_KEYS", serveNeeds, "PAIRSYNC_SECRET_KEYS is required"},
		{"credential not needed", "CLIENT_SECRET", []Need{NeedKeys}, ""},
		{"nothing needed", "PUBLIC_URL", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := working()
			delete(env, tt.without)
			setEnvironment(t, env)
			_, err := Load(tt.needs...)
			switch {
			case tt.problem == "" && err != nil:
				t.Error(err)
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("got %v, want %s", err, tt.problem)
			}
		})
	}
}

func TestWorkloadIdentityIsACredential(t *testing.T) {
	env := working()
	delete(env, "CLIENT_SECRET")
	env["AZURE_FEDERATED_TOKEN_FILE"] = "/var/run/secrets/token"
	setEnvironment(t, env)
	got, err := Load(serveNeeds...)
	if err != nil || got.FederatedTokenFile != "/var/run/secrets/token" {
		t.Errorf("got %q, %v", got.FederatedTokenFile, err)
	}
}

func TestAllProblemsAreReported(t *testing.T) {
	setEnvironment(t, map[string]string{"LOG_LEVEL": "x", "NATS_REPLICAS": "x", "SWEEP_INTERVAL": "x", "TYPO": "x"})
	_, err := Load(serveNeeds...)
	bad, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var names []string
	for _, p := range bad.Problems {
		names = append(names, strings.TrimPrefix(p.Variable, "PAIRSYNC_"))
	}
	want := []string{"CLIENT_ID", "CLIENT_SECRET", "LOG_LEVEL", "NATS_REPLICAS", "PUBLIC_URL", "SECRET_KEYS", "SWEEP_INTERVAL", "TYPO"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestServiceLinksAreTolerated sets what Kubernetes adds to every pod beside a Service called pairsync-webhook.
func TestServiceLinksAreTolerated(t *testing.T) {
	env := working()
	maps.Copy(env, map[string]string{
		"SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "80", "SERVICE_PORT_HTTP": "80", "PORT": "tcp://10.0.0.1:80",
		"PORT_80_TCP": "tcp://10.0.0.1:80", "PORT_80_TCP_PROTO": "tcp", "PORT_80_TCP_PORT": "80", "PORT_80_TCP_ADDR": "10.0.0.1",
		"WEBHOOK_SERVICE_HOST": "10.0.0.2", "WEBHOOK_PORT": "tcp://10.0.0.2:80",
	})
	setEnvironment(t, env)
	if _, err := Load(serveNeeds...); err != nil {
		t.Error(err)
	}
	t.Setenv("PAIRSYNC_WEBHOOK_PORT", "8080")
	if _, err := Load(serveNeeds...); err == nil {
		t.Error("PAIRSYNC_WEBHOOK_PORT=8080 is somebody's mistake, and was accepted")
	}
}

// TestContractNames pins the public names: none may go away or change.
func TestContractNames(t *testing.T) {
	t.Parallel()
	names, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, name := range names {
		have[strings.TrimPrefix(name, "PAIRSYNC_")] = true
	}
	for name := range strings.FieldsSeq(`DATABASE_URL DATABASE_URL_FILE NATS_URL NATS_URL_FILE NATS_CREDS NATS_REPLICAS DATA_DIR PUBLIC_URL
		CONSOLE_URL WEBHOOK_ADDR CONSOLE_ADDR OPS_ADDR CLIENT_ID CLIENT_SECRET CLIENT_SECRET_FILE CLIENT_CERTIFICATE_FILE GRAPH_URL
		AUTHORITY_URL SECRET_KEYS SECRET_KEYS_FILE API_TOKENS API_TOKENS_FILE SUBSCRIPTION_LIFETIME SWEEP_INTERVAL LOG_LEVEL LOG_FORMAT
		CALLBACK_ALLOW_PRIVATE GRAPH_CONCURRENCY MAILBOX_CONCURRENCY SMTP_URL SMTP_URL_FILE MAIL_FROM MIGRATE`) {
		if !have[name] {
			t.Errorf("PAIRSYNC_%s is not read", name)
		}
	}
}

func TestUsageListsEveryVariable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteUsage(&out); err != nil {
		t.Fatal(err)
	}
	names, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, "OTEL_EXPORTER_OTLP_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE") {
		if !strings.Contains(out.String(), "  "+name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
}
