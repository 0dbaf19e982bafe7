package model_test

import (
	"testing"
	"time"
)

// TestAYoungCommandComesAgainSoon: a process that is killed between claiming a command and publishing it delays it by
// seconds; a request that has waited for long is not looked at more often than told.
func TestAYoungCommandComesAgainSoon(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	old := wish("old")
	old.At = time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		session  string
		from, to time.Duration
	}{{"young", 40 * time.Second, 80 * time.Second}, {"old", 590 * time.Second, 610 * time.Second}} {
		r := wish(tt.session)
		if tt.session == "old" {
			r = old
		}
		b.put(t, r)
		if commands, err := b.ClaimCommands(t.Context(), 10, 10*time.Minute); err != nil || len(commands) != 1 {
			t.Fatalf("commands %v, %v", commands, err)
		}
		due, ok, err := b.NextCommandDue(t.Context())
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if wait := time.Until(due); wait < tt.from || wait > tt.to {
			t.Errorf("%s: again in %s", tt.session, wait)
		}
		if w := b.take(t, tt.session); b.ReleaseRequest(t.Context(), w, time.Now().Add(time.Hour)) != nil {
			t.Fatal("not released")
		}
	}
}
