package model

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

const (
	guidTenant  = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	guidMailbox = "622eaaff-0683-4862-9de4-f2ec83c2bd98"
)

func secretKey(fill byte) []byte { return bytes.Repeat([]byte{fill}, 32) }

func newClientStates(tb testing.TB, fills ...byte) *ClientStates {
	tb.Helper()
	keys := make([][]byte, 0, len(fills))
	for _, f := range fills {
		keys = append(keys, secretKey(f))
	}
	c, err := NewClientStates(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func sign(tb testing.TB, c *ClientStates, tenant, mailbox string) string {
	tb.Helper()
	s, err := c.Sign(tenant, mailbox)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestClientStatesRoundTrip(t *testing.T) {
	t.Parallel()
	c := newClientStates(t, 1)
	tests := map[string]struct{ tenant, mailbox, wantTenant, wantMailbox string }{
		"guids":           {guidTenant, guidMailbox, guidTenant, guidMailbox},
		"guids, any case": {strings.ToUpper(guidTenant), strings.ToUpper(guidMailbox), guidTenant, guidMailbox},
		"plain ids":       {"Contoso", "ada@contoso.example", "Contoso", "ada@contoso.example"},
		"mixed":           {guidTenant, "u-1", guidTenant, "u-1"},
		"almost a guid":   {guidTenant[:35] + "g", "x", guidTenant[:35] + "g", "x"},
		"guid-long bytes": {strings.Repeat("-", 36), "x", strings.Repeat("-", 36), "x"},
		"longest":         {strings.Repeat("t", 32), strings.Repeat("m", 33), strings.Repeat("t", 32), strings.Repeat("m", 33)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sign(t, c, tt.tenant, tt.mailbox)
			if len(s) > 128 {
				t.Errorf("%d characters, Graph takes 128", len(s))
			}
			if strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Errorf("not URL-safe: %q", s)
			}
			tenant, mailbox, ok := c.Verify(s)
			if !ok || tenant != tt.wantTenant || mailbox != tt.wantMailbox {
				t.Errorf("Verify = %q, %q, %v", tenant, mailbox, ok)
			}
		})
	}
}

func TestClientStatesAreSelfContainedAndDiffer(t *testing.T) {
	t.Parallel()
	a, b := newClientStates(t, 1), newClientStates(t, 1)
	first, second := sign(t, a, guidTenant, guidMailbox), sign(t, a, guidTenant, guidMailbox)
	if first == second {
		t.Error("two subscriptions of one mailbox got the same client state")
	}
	if tenant, mailbox, ok := b.Verify(first); !ok || tenant != guidTenant || mailbox != guidMailbox {
		t.Error("another process with the same key does not know the client state")
	}
}

func TestClientStatesKeysRotate(t *testing.T) {
	t.Parallel()
	before, during, after := newClientStates(t, 1), newClientStates(t, 2, 1), newClientStates(t, 2)
	old, fresh := sign(t, before, guidTenant, guidMailbox), sign(t, during, guidTenant, guidMailbox)
	for name, tt := range map[string]struct {
		c     *ClientStates
		state string
		want  bool
	}{
		"old state, both keys":    {during, old, true},
		"old state, old key gone": {after, old, false},
		"new state, old key only": {before, fresh, false},
		"new state, new key only": {after, fresh, true},
	} {
		if _, _, ok := tt.c.Verify(tt.state); ok != tt.want {
			t.Errorf("%s: ok = %v, want %v", name, ok, tt.want)
		}
	}
}

func TestClientStatesRefuseForgeries(t *testing.T) {
	t.Parallel()
	c := newClientStates(t, 1)
	good := sign(t, c, guidTenant, guidMailbox)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	// Every single flipped bit, wherever it is, must be noticed.
	for i := range raw {
		for bit := range 8 {
			forged := bytes.Clone(raw)
			forged[i] ^= 1 << bit
			if _, _, ok := c.Verify(base64.RawURLEncoding.EncodeToString(forged)); ok {
				t.Fatalf("bit %d of byte %d flipped, still ok", bit, i)
			}
		}
	}
	for name, s := range map[string]string{
		"empty":         "",
		"cut":           good[:len(good)-1],
		"longer":        good + "A",
		"padded":        good + "==",
		"line end":      good[:10] + "\n" + good[10:],
		"trailing end":  good + "\r\n",
		"too long":      strings.Repeat("A", 129),
		"zeros":         strings.Repeat("A", 84),
		"not base64":    strings.Repeat("!", 84),
		"standard form": strings.Repeat("+", 84),
	} {
		if tenant, mailbox, ok := c.Verify(s); ok || tenant != "" || mailbox != "" {
			t.Errorf("%s: Verify = %q, %q, %v", name, tenant, mailbox, ok)
		}
	}
}

func TestClientStatesRefuseOtherSpellings(t *testing.T) {
	t.Parallel()
	c := newClientStates(t, 1)
	// 64 bytes leave four unused bits in the last character: sixteen spellings of one value, of which one is ours.
	good := sign(t, c, guidTenant, strings.Repeat("m", 17))
	if len(good) != 86 {
		t.Fatalf("%d characters, the test needs 86", len(good))
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	accepted := 0
	for _, last := range alphabet {
		if _, _, ok := c.Verify(good[:85] + string(last)); ok {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d spellings of one client state were accepted", accepted)
	}
}

func TestClientStatesRefuseBadKeysAndIDs(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][][]byte{
		"none":  nil,
		"short": {secretKey(1)[:31]},
		"twice": {secretKey(1), secretKey(2), secretKey(1)},
	} {
		if _, err := NewClientStates(keys); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c := newClientStates(t, 1)
	for name, ids := range map[string][2]string{
		"no tenant":       {"", "m"},
		"no mailbox":      {"t", ""},
		"long together":   {strings.Repeat("t", 33), strings.Repeat("m", 33)},
		"long mailbox":    {"t", strings.Repeat("m", 300)},
		"length wraps to": {strings.Repeat("t", 256), "m"},
	} {
		if s, err := c.Sign(ids[0], ids[1]); err == nil {
			t.Errorf("%s: signed as %q", name, s)
		}
	}
	if _, err := new(ClientStates).Sign("t", "m"); err == nil {
		t.Error("signed without a key")
	}
}

// FuzzClientStatesVerify checks that nothing panics and that whatever is accepted was signed by the key: other ids than the
// seeds' would be a forgery. (Each fuzzing process signs its own seeds, so they can't be compared to the byte.)
func FuzzClientStatesVerify(f *testing.F) {
	c := newClientStates(f, 1)
	good := sign(f, c, guidTenant, guidMailbox)
	plain := sign(f, c, "t", "m")
	for _, s := range []string{"", good, plain, good[:40], good + good, strings.Repeat("A", 128), "\n\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tenant, mailbox, ok := c.Verify(s)
		if ok && (tenant != guidTenant || mailbox != guidMailbox) && (tenant != "t" || mailbox != "m") {
			t.Errorf("accepted %q as %q, %q", s, tenant, mailbox)
		}
		if !ok && tenant+mailbox != "" {
			t.Errorf("refused %q but told %q, %q", s, tenant, mailbox)
		}
	})
}

func BenchmarkClientStatesVerify(b *testing.B) {
	c := newClientStates(b, 1)
	s := sign(b, c, guidTenant, guidMailbox)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := c.Verify(s); !ok {
			b.Fatal("refused")
		}
	}
}
