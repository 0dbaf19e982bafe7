package workers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if err := pause(t.Context(), time.Minute); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := pause(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v from a context that ended", err)
		}
		if err := pause(ctx, 0); err == nil {
			t.Error("no pause hides that the context ended")
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		attempt int
		full    time.Duration
	}{
		"never tried":    {0, time.Second},
		"first":          {1, time.Second},
		"second":         {2, 2 * time.Second},
		"fourth":         {4, 8 * time.Second},
		"capped":         {5, 10 * time.Second},
		"after a season": {1_000_000, 10 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				if got := backoff(tt.attempt, time.Second, 10*time.Second); got < tt.full/2 || got > tt.full {
					t.Fatalf("got %v, want between %v and %v", got, tt.full/2, tt.full)
				}
			}
		})
	}
}

func TestJitterNeverComesEarly(t *testing.T) {
	t.Parallel()
	for range 50 {
		if got := jitter(time.Second); got < time.Second || got > 1200*time.Millisecond {
			t.Fatalf("got %v", got)
		}
		if got := jitter(-time.Second); got < 0 || got > time.Millisecond {
			t.Fatalf("got %v for a time that has passed", got)
		}
	}
}
