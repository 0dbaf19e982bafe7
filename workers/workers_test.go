package workers

import (
	"strings"
	"testing"
	"time"

	"pairsync/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }

func TestConfigNamesWhatCannotWork(t *testing.T) {
	t.Parallel()
	tests := map[string]Config{
		"Concurrency":     {Concurrency: -1},
		"SweepInterval":   {SweepInterval: -time.Second},
		"RetryMax":        {RetryMin: time.Minute, RetryMax: time.Second},
		"ProbeMax":        {ProbeMin: time.Hour},
		"NotFoundRetries": {NotFoundRetries: []time.Duration{time.Second, -1}},
		"DoubtRetries":    {DoubtRetries: []time.Duration{-1}},
		"a dependency":    {},
	}
	for field, cfg := range tests {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			if _, err := New(cfg, Deps{}); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSessionsAreVerifiedWithinTheInterval(t *testing.T) {
	t.Parallel()
	cfg := Config{}.withDefaults()
	for range 100 {
		if d := cfg.verifyIn(); d > 6*time.Hour || d < 5*time.Hour {
			t.Fatalf("again after %v", d)
		}
	}
}
