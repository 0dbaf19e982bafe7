package model_test

import (
	"bytes"
	"errors"
	"testing"

	"pairsync/model"
)

func sealer(tb testing.TB, keys ...string) *model.Sealer {
	tb.Helper()
	var all [][]byte
	for _, k := range keys {
		all = append(all, bytes.Repeat([]byte(k), 32))
	}
	s, err := model.NewSealer(all)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSeal(t *testing.T) {
	t.Parallel()
	s := sealer(t, "a")
	for _, secret := range []string{"", "0.AXoA-refresh", string(make([]byte, 4096))} {
		sealed, err := s.Seal(model.PurposeRefreshToken, []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" && bytes.Contains(sealed, []byte(secret)) {
			t.Error("the secret shows")
		}
		opened, err := s.Open(model.PurposeRefreshToken, sealed)
		if err != nil || string(opened) != secret {
			t.Errorf("opened %d bytes of %d, %v", len(opened), len(secret), err)
		}
		again, err := s.Seal(model.PurposeRefreshToken, []byte(secret))
		if err != nil || bytes.Equal(sealed, again) {
			t.Errorf("sealed twice the same: %v", err)
		}
	}
}

// TestSealRotates: a new key in front seals from then on, and the old one opens for as long as it is there.
func TestSealRotates(t *testing.T) {
	t.Parallel()
	old, err := sealer(t, "a").Seal(model.PurposeCallbackSecret, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	both := sealer(t, "b", "a")
	if opened, err := both.Open(model.PurposeCallbackSecret, old); err != nil || string(opened) != "secret" {
		t.Errorf("with the old key behind the new: %q, %v", opened, err)
	}
	renewed, err := both.Seal(model.PurposeCallbackSecret, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	after := sealer(t, "b")
	if opened, err := after.Open(model.PurposeCallbackSecret, renewed); err != nil || string(opened) != "secret" {
		t.Errorf("sealed after the rotation: %q, %v", opened, err)
	}
	if _, err := after.Open(model.PurposeCallbackSecret, old); !errors.Is(err, model.ErrSealed) {
		t.Errorf("without its key: %v", err)
	}
}

// TestSealRefuses: every bit counts, and so does the purpose.
func TestSealRefuses(t *testing.T) {
	t.Parallel()
	s := sealer(t, "a")
	sealed, err := s.Seal(model.PurposeVerifier, []byte("verifier"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(model.PurposeRefreshToken, sealed); !errors.Is(err, model.ErrSealed) {
		t.Errorf("for another purpose: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(model.PurposeVerifier, bad); !errors.Is(err, model.ErrSealed) {
			t.Errorf("with byte %d changed: %v", i, err)
		}
		if _, err := s.Open(model.PurposeVerifier, sealed[:i]); !errors.Is(err, model.ErrSealed) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestNewSealerRefuses(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{1}, 32)
	for name, keys := range map[string][][]byte{
		"no key": nil, "a short key": {key[:31]}, "a key twice": {key, key},
	} {
		if _, err := model.NewSealer(keys); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
