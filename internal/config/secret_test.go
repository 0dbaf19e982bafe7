package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSecretIsNeverSeen prints a secret in every way that somebody might by accident.
func TestSecretIsNeverSeen(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	secret := NewSecret(value)
	type holder struct {
		Open   Secret
		hidden Secret
		List   []Secret
	}
	all := holder{Open: secret, hidden: secret, List: []Secret{secret}}

	var seen bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t", "%08.3f", "%p", "%c"} {
		_, _ = fmt.Fprintf(&seen, verb+"\n", secret)
		_, _ = fmt.Fprintf(&seen, verb+"\n", &secret)
		_, _ = fmt.Fprintf(&seen, verb+"\n", all)
		_, _ = fmt.Fprintf(&seen, verb+"\n", &all)
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&seen, nil), slog.NewTextHandler(&seen, nil)} {
		log := slog.New(handler)
		log.Info("test", slog.Any("secret", secret), slog.Any("holder", all), slog.Any("list", all.List))
	}
	if err := json.NewEncoder(&seen).Encode(all); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintln(&seen, fmt.Errorf("wrapped %w", fmt.Errorf("secret %v", secret)))

	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprintf("%d", []byte(value))} {
		if strings.Contains(seen.String(), form) {
			t.Errorf("the secret shows as %s in:\n%s", form, seen.String())
		}
	}
	if !strings.Contains(seen.String(), redacted) {
		t.Error("nothing says that there is a secret")
	}
}

func TestSecretGivesItsValueBack(t *testing.T) {
	t.Parallel()
	if got := NewSecret("x").Reveal(); got != "x" {
		t.Errorf("Reveal() = %q", got)
	}
	var decoded Secret
	if err := decoded.Decode("  spaced \n"); err != nil || decoded.Reveal() != "spaced" {
		t.Errorf("Decode gave %q, %v", decoded.Reveal(), err)
	}
	var empty Secret
	if !empty.Empty() || empty.Reveal() != "" || empty.String() != "" || !NewSecret("").Empty() {
		t.Error("an empty secret isn't empty")
	}
}
