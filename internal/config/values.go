package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keySize is the length of a secret key in bytes.
const keySize = 32

// secret returns the value of a variable that can also be given as a file.
func (r *reader) secret(name string, value Secret, file string) Secret {
	if file = strings.TrimSpace(file); file == "" {
		return value
	}
	if !value.Empty() {
		r.bad.add(name+"_FILE", "cannot be set together with "+variable(name))
		return value
	}
	content, err := os.ReadFile(file) //nolint:gosec // The operator says which file holds the secret.
	if err != nil {
		r.bad.add(name+"_FILE", "takes the path of a file that can be read: "+cause(err))
		return Secret{}
	}
	value = NewSecret(strings.TrimSpace(string(content)))
	if value.Empty() {
		r.bad.add(name+"_FILE", "names a file that is empty")
	}
	return value
}

// file returns the path of a file that can be read, or nothing.
func (r *reader) file(name, path string) string {
	path = strings.TrimSpace(path)
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.bad.add(name, "takes the path of a file that can be read: "+cause(err))
	case info.IsDir():
		r.bad.add(name, "takes the path of a file, and this is a directory")
	}
	return path
}

// cause says why a file can't be read without the path: somebody may have put the secret itself there.
func cause(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return "it cannot be opened"
}

// between returns a whole number from low to high.
func (r *reader) between(name string, n number, low, high int) int {
	if n.invalid || n.value < low || n.value > high {
		r.bad.add(name, fmt.Sprintf("takes a whole number from %d to %d", low, high))
		return 0
	}
	return n.value
}

// atLeast returns a duration that isn't shorter than low.
func (r *reader) atLeast(name string, d duration, low time.Duration) time.Duration {
	if d.invalid || d.value < low {
		r.bad.add(name, fmt.Sprintf("takes a duration such as 90m or 6h, at least %s", low))
		return 0
	}
	return d.value
}

// truth returns true or false.
func (r *reader) truth(name string, b truth) bool {
	if b.invalid {
		r.bad.add(name, "takes true or false")
	}
	return b.value
}

// oneOf returns the value, which must be one of the words.
func (r *reader) oneOf(name, value string, words ...string) string {
	value = strings.ToLower(strings.TrimSpace(value))
	if !slices.Contains(words, value) {
		r.bad.add(name, "takes one of "+strings.Join(words, ", "))
	}
	return value
}

// address returns a listen address: host:port or :port.
func (r *reader) address(name, value string) string {
	value = strings.TrimSpace(value)
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.bad.add(name, "takes a listen address such as :8080 or 127.0.0.1:8080")
		return ""
	}
	return value
}

// baseURL returns an absolute URL without a trailing slash, or nil when the variable is not set. Plain http is for
// loopback only.
func (r *reader) baseURL(name, value string) *url.URL {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		r.bad.add(name, "takes an absolute URL that begins with https://")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		r.bad.add(name, "takes a URL without user, query and fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		r.bad.add(name, "takes a URL that begins with https://; plain http:// is for loopback addresses only")
	default:
		u.Path = strings.TrimRight(u.Path, "/")
		u.RawPath = ""
		return u
	}
	return nil
}

// loopback tells whether a host can only be this machine.
func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// consoleURL is PUBLIC_URL's host with the console's port.
func consoleURL(public *url.URL, addr string) *url.URL {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	return &url.URL{Scheme: public.Scheme, Host: net.JoinHostPort(public.Hostname(), port)}
}

// databaseURL checks DATABASE_URL as far as that is possible without connecting.
func (r *reader) databaseURL(value Secret) Secret {
	dsn := value.Reveal()
	switch {
	case dsn == "":
	case strings.Contains(dsn, "://"):
		u, err := url.Parse(dsn)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			r.bad.add("DATABASE_URL", "takes postgres://user:password@host:port/database")
		}
	case !strings.Contains(dsn, "="):
		r.bad.add("DATABASE_URL", "takes postgres://user:password@host:port/database")
	}
	return value
}

// natsURL checks every server of NATS_URL.
func (r *reader) natsURL(value Secret) Secret {
	if value.Empty() {
		return value
	}
	for server := range strings.SplitSeq(value.Reveal(), ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			r.bad.add("NATS_URL", "takes comma-separated servers such as nats://host:4222 or tls://host:4222")
			break
		}
	}
	return value
}

// smtpURL checks SMTP_URL.
func (r *reader) smtpURL(value Secret) Secret {
	if value.Empty() {
		return value
	}
	u, err := url.Parse(value.Reveal())
	if err != nil || u.Host == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		r.bad.add("SMTP_URL", "takes smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	return value
}

// otlp reads OTEL_EXPORTER_OTLP_ENDPOINT.
func (r *reader) otlp() string {
	const name = "OTEL_EXPORTER_OTLP_ENDPOINT"
	value := strings.TrimSpace(r.other.OtelExporterOtlpEndpoint)
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		r.bad.addForeign(name, "takes the base URL of an OTLP/HTTP receiver, such as http://collector:4318")
		return ""
	}
	return value
}

// keys reads SECRET_KEYS.
func (r *reader) keys(value Secret) Keys {
	if value.Empty() {
		return nil
	}
	keys, err := ParseKeys(value.Reveal())
	if err != nil {
		r.bad.add("SECRET_KEYS", err.Error())
	}
	return keys
}

// ParseKeys reads comma-separated keys of 32 bytes in base64. The error says which one is none, not what it is.
func ParseKeys(encoded string) (Keys, error) {
	var keys Keys
	for i, one := range strings.Split(encoded, ",") {
		key, err := decodeKey(strings.TrimSpace(one))
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("takes comma-separated keys of %d bytes in base64; number %d is not one", keySize, i+1)
		}
		keys = append(keys, NewSecret(string(key)))
	}
	return keys, nil
}

// decodeKey takes both alphabets of base64, with or without padding.
func decodeKey(encoded string) ([]byte, error) {
	encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
	return base64.RawStdEncoding.DecodeString(encoded)
}

// tokens reads API_TOKENS.
func (r *reader) tokens(value Secret) []APIToken {
	if value.Empty() {
		return nil
	}
	name := regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	tenant := regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	var tokens []APIToken
	seen := map[string]bool{}
	for i, entry := range strings.Split(value.Reveal(), ",") {
		owner, token, _ := strings.Cut(strings.TrimSpace(entry), ":")
		who, where, limited := strings.Cut(owner, "@")
		switch {
		case token == "", strings.ContainsAny(token, " \t\r\n"), !name.MatchString(who), limited && !tenant.MatchString(where):
			r.bad.add("API_TOKENS", fmt.Sprintf("takes comma-separated name:token or name@tenant-id:token; number %d is not one", i+1))
		case seen[token]:
			r.bad.add("API_TOKENS", fmt.Sprintf("takes every token once; number %d is there already", i+1))
		default:
			tokens = append(tokens, APIToken{Name: who, Tenant: strings.ToLower(where), Token: NewSecret(token)})
		}
		seen[token] = true
	}
	return tokens
}
