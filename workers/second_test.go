package workers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// looked is one second look that was taken.
type looked struct {
	after time.Duration
	last  bool
}

// secondOf runs second looks with the pauses of production, and hands out what they did.
func secondOf(t *testing.T, answer func(n int) (doubt, error)) (s *second, taken *[]looked, stop func()) {
	t.Helper()
	begun := time.Now()
	taken = new([]looked)
	s = newSecond([]time.Duration{time.Second, 3 * time.Second}, slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	s.now = func(_ context.Context, a again, last bool) (again, error) {
		mu.Lock()
		defer mu.Unlock()
		*taken = append(*taken, looked{time.Since(begun), last})
		var err error
		a.doubt, err = answer(len(*taken))
		return a, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, taken, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestSecondLooks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		doubt  doubt
		answer func(n int) (doubt, error)
		want   []looked
	}{
		"weak: once": {
			doubtWeak, func(int) (doubt, error) { return doubtWeak, nil },
			[]looked{{time.Second, true}},
		},
		"strong and never explained: twice": {
			doubtStrong, func(int) (doubt, error) { return doubtStrong, nil },
			[]looked{{time.Second, false}, {4 * time.Second, true}},
		},
		"strong and explained by the first": {
			doubtStrong, func(int) (doubt, error) { return doubtNone, nil },
			[]looked{{time.Second, false}},
		},
		"trouble: the sweep's": {
			doubtStrong, func(int) (doubt, error) { return doubtStrong, errors.New("down") },
			[]looked{{time.Second, false}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, taken, stop := secondOf(t, tt.answer)
				s.look(t.Context(), again{event: "e", doubt: tt.doubt})
				if err := pause(t.Context(), time.Minute); err != nil {
					t.Fatal(err)
				}
				stop()
				if len(*taken) != len(tt.want) {
					t.Fatalf("took %v, want %v", *taken, tt.want)
				}
				for i, want := range tt.want {
					if (*taken)[i] != want {
						t.Errorf("look %d: %v, want %v", i, (*taken)[i], want)
					}
				}
				if len(s.pending) != 0 {
					t.Error("a plan is left")
				}
			})
		})
	}
}

func TestNewerDoubtReplacesTheOlder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, taken, stop := secondOf(t, func(int) (doubt, error) { return doubtNone, nil })
		s.look(t.Context(), again{event: "e", doubt: doubtStrong})
		if err := pause(t.Context(), 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		s.look(t.Context(), again{event: "e", doubt: doubtStrong})
		s.look(t.Context(), again{event: "other", doubt: doubtStrong})
		if err := pause(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		stop()
		if len(*taken) != 2 || (*taken)[0].after != 1500*time.Millisecond {
			t.Errorf("took %v, want one look for each event after 1.5s", *taken)
		}
	})
}

func TestSecondLooksEndWithRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, taken, stop := secondOf(t, func(int) (doubt, error) { return doubtNone, nil })
		s.look(t.Context(), again{event: "e", doubt: doubtStrong})
		stop()
		s.look(t.Context(), again{event: "too late", doubt: doubtStrong})
		if err := pause(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if len(*taken) != 0 {
			t.Errorf("took %v after the end", *taken)
		}
	})
}
