package config

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// redacted is what a secret shows of itself.
const redacted = "[redacted]"

// Secret is a value that must not be seen. It prints as "[redacted]" with every verb of fmt, in slog and in JSON, and as
// nothing when it is empty. The zero value is an empty secret.
type Secret struct {
	// A pointer, because fmt ignores the methods of a value inside an unexported field, and then prints its fields: an
	// address gives nothing away.
	value *string
}

// NewSecret hides value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value itself, for handing it to whoever needs it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty tells whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// Decode takes the value of an environment variable; it never fails, so no parse error can carry the value.
func (s *Secret) Decode(value string) error {
	*s = NewSecret(strings.TrimSpace(value))
	return nil
}

// String returns "[redacted]", or nothing when the secret is empty.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return redacted
}

// Format writes what String returns, whatever the verb: a wrong verb would otherwise print the fields.
func (s Secret) Format(f fmt.State, _ rune) {
	// A fmt.State never fails to write.
	_, _ = io.WriteString(f, s.String())
}

// LogValue keeps the value out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the value out of JSON and every other encoding of text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
