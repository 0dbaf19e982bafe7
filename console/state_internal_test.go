package console

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pairsync/model"
)

func sealerOf(tb testing.TB, keys ...string) *model.Sealer {
	tb.Helper()
	var secrets [][]byte
	for _, key := range keys {
		secrets = append(secrets, bytes.Repeat([]byte(key), 32))
	}
	sealer, err := model.NewSealer(secrets)
	if err != nil {
		tb.Fatal(err)
	}
	return sealer
}

// sealedState is a state as openGrant makes it.
func sealedState(tb testing.TB, sealer *model.Sealer, purpose model.Purpose, s any) string {
	tb.Helper()
	plain, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	sealed, err := sealer.Seal(purpose, plain)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed)
}

func TestReadState(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	old, other := sealerOf(t, "a"), sealerOf(t, "c")
	c := &Console{sealer: sealerOf(t, "b", "a")}
	good := state{Nonce: "n", Kind: model.GrantConsent, ExpiresAt: now.Add(time.Minute).Unix()}
	for name, tc := range map[string]struct {
		given string
		want  error
	}{
		"good":                        {sealedState(t, c.sealer, purposeState, good), nil},
		"of a key that is on its way": {sealedState(t, old, purposeState, good), nil},
		"of a key that isn't ours":    {sealedState(t, other, purposeState, good), errBadState},
		"sealed for something else":   {sealedState(t, c.sealer, model.PurposeVerifier, good), errBadState},
		"for a sign-in":               {sealedState(t, c.sealer, purposeState, state{Nonce: "n", Kind: model.GrantConnect, ExpiresAt: good.ExpiresAt}), errBadState},
		"expired":                     {sealedState(t, c.sealer, purposeState, state{Nonce: "n", Kind: model.GrantConsent, ExpiresAt: now.Unix()}), errOldState},
		"not a state":                 {sealedState(t, c.sealer, purposeState, []int{1}), errBadState},
		"not base64":                  {"a+b", errBadState},
		"short":                       {"AAAA", errBadState},
		"empty":                       {"", errBadState},
	} {
		s, err := c.readState(tc.given, model.GrantConsent, now)
		if !errors.Is(err, tc.want) || err == nil && s != good {
			t.Errorf("%s: %+v, %v, want %v", name, s, err, tc.want)
		}
	}
}

// FuzzState reads anything as a state. Nothing that wasn't sealed may pass.
func FuzzState(f *testing.F) {
	sealer := sealerOf(f, "a")
	c := &Console{sealer: sealer}
	now := time.Now()
	f.Add(sealedState(f, sealer, purposeState, state{Nonce: "n", Kind: model.GrantConnect, ExpiresAt: now.Unix()}))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, given string) {
		if s, err := c.readState(given, model.GrantConsent, now); err == nil {
			t.Errorf("%q passes as %+v", given, s)
		}
	})
}
