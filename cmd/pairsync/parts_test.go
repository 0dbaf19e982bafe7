package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPartsEndInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newParts(quiet())
		var ended []string
		for _, name := range []string{"nats", "database", "door"} {
			p.start(ctx, name, time.Second, func(ctx context.Context) error {
				<-ctx.Done()
				ended = append(ended, name)
				return nil
			})
		}
		p.onStop("flag", time.Second, func(context.Context) error { ended = append(ended, "flag"); return nil })

		cancel() // The signal: parts go on until it is their turn.
		if err := p.wait(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatalf("ended before their turn: %v", ended)
		}
		if err := p.stop(ctx, time.Minute); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"flag", "door", "database", "nats"}, ended); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if err := p.stop(ctx, time.Minute); err != nil {
			t.Errorf("the second stop: %v", err)
		}
	})
}

func TestAPartThatFailsEndsTheProcess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"with an error", errors.New("disk is gone"), "workers: disk is gone"},
		{"without one", nil, "workers: ended by itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newParts(quiet())
			p.start(t.Context(), "workers", time.Second, func(context.Context) error { return tt.err })
			if err := p.wait(t.Context()); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestStoppingIsBounded has two parts that never end: the first uses up its grace, the second what is left at least.
func TestStoppingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParts(quiet())
		release := make(chan struct{})
		for _, name := range []string{"first", "second"} {
			p.start(t.Context(), name, 10*time.Second, func(context.Context) error { <-release; return nil })
		}
		began := time.Now()
		err := p.stop(t.Context(), 10*time.Second)
		if took := time.Since(began); took != 10*time.Second+lastResort {
			t.Errorf("took %s", took)
		}
		for _, want := range []string{"stopping first: did not end in time", "stopping second: did not end in time"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say: %s", err, want)
			}
		}
		close(release)
	})
}

// TestAPartThatStillWaitsEndsQuietly is what happens to workers whose database never came.
func TestAPartThatStillWaitsEndsQuietly(t *testing.T) {
	t.Parallel()
	p := newParts(quiet())
	never := newLate[int]()
	p.start(t.Context(), "workers", time.Second, func(ctx context.Context) error {
		_, err := never.wait(ctx)
		return err
	})
	if err := p.stop(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestLateSaysWhyItIsMissing(t *testing.T) {
	t.Parallel()
	l := newLate[int]()
	if _, err := l.get(); err == nil {
		t.Error("there is a value before it was set")
	}
	l.missing(errors.New("connection refused"))
	if _, err := l.get(); err == nil || err.Error() != "connection refused" {
		t.Errorf("got %v", err)
	}
	got := make(chan int)
	go func() {
		v, err := l.wait(t.Context())
		if err != nil {
			v = -1
		}
		got <- v
	}()
	l.set(42)
	if v := <-got; v != 42 {
		t.Errorf("the one who waited got %d", v)
	}
	if v, err := l.get(); v != 42 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}

func TestPersistGoesOnUntilItWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		log := slog.New(slog.NewTextHandler(&lines, nil))
		var reasons []string
		tries := 0
		began := time.Now()
		got, err := persist(t.Context(), log, "database", func(err error) { reasons = append(reasons, err.Error()) },
			func(context.Context) (string, error) {
				tries++
				switch {
				case tries < 10:
					return "", errors.New("connection refused")
				case tries == 10:
					return "", errors.New("the schema is behind")
				default:
					return "store", nil
				}
			})
		if got != "store" || err != nil || len(reasons) != 10 {
			t.Errorf("got %q, %v after %d reasons", got, err, len(reasons))
		}
		if took := time.Since(began); took > 11*longestPause*3/2 {
			t.Errorf("ten failures took %s", took)
		}
		if n := strings.Count(lines.String(), "not available"); n != 2 {
			t.Errorf("%d lines for two reasons:\n%s", n, lines.String())
		}
		if !strings.Contains(lines.String(), "part available") {
			t.Error("nobody said that it worked after all")
		}
	})
}

func TestPersistEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := persist(ctx, quiet(), "nats", func(error) {}, func(context.Context) (int, error) { return 0, errors.New("down") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
