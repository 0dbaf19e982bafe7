// Package testbed gives tests what pairsync runs on: a real PostgreSQL with a fresh, migrated database for each test, and a
// real JetStream for each test.
//
// A package's TestMain calls Main. Nothing starts until a test asks for it; PostgreSQL then runs once for the whole test
// process, without a thought for the disk, and every test gets a copy of one migrated template. When the tests are done
// everything is stopped, and a goroutine that is still running fails the package.
//
// Product code never imports it.
package testbed

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, stops what they started, looks for leaked goroutines, and exits.
func Main(m *testing.M, allowed ...goleak.Option) {
	code := m.Run()
	if err := postgres.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testbed: stopping PostgreSQL:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(allowed...); err != nil {
			fmt.Fprintln(os.Stderr, "testbed: leaked goroutines:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience is how long Eventually waits. It is far more than anything takes, so that a busy machine fails no test.
const patience = 30 * time.Second

// Eventually asks cond again and again until it says true, and fails the test when it doesn't within half a minute. what
// ends the sentence "waited for".
func Eventually(tb testing.TB, what string, cond func(ctx context.Context) bool) {
	tb.Helper()
	EventuallyWithin(tb, patience, what, cond)
}

// EventuallyWithin is Eventually with another patience.
func EventuallyWithin(tb testing.TB, within time.Duration, what string, cond func(ctx context.Context) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if cond(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("waited %v in vain for %s", within, what)
		case <-tick.C:
		}
	}
}

// Receive takes one value from the channel, and fails the test when none comes within half a minute.
func Receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-from:
		return v
	case <-timer.C:
		tb.Fatalf("waited %v in vain for %s", patience, what)
		panic("unreachable")
	}
}

// Run starts run and, at the latest when the test ends, ends its context and waits for it; an error fails the test. The
// returned function does so earlier.
func Run(tb testing.TB, what string, run func(ctx context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		tb.Helper()
		cancel()
		if stopped {
			return
		}
		stopped = true
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("%s ended with: %v", what, err)
			}
		case <-timer.C:
			tb.Errorf("%s didn't end", what)
		}
	}
	tb.Cleanup(stop)
	return stop
}
