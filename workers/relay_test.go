package workers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"pairsync/model"
)

var errBroken = errors.New("broken")

// box is an outbox in memory.
type box struct {
	mu      sync.Mutex
	changes []model.Change
	// failDone makes striking fail that many times.
	failDone int
	held     bool
}

func (b *box) OutboxBatch(_ context.Context, limit int) ([]model.Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.changes[:min(limit, len(b.changes))]), nil
}

func (b *box) OutboxDone(_ context.Context, cursors []int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failDone > 0 {
		b.failDone--
		return errBroken
	}
	b.changes = slices.DeleteFunc(b.changes, func(ch model.Change) bool { return slices.Contains(cursors, ch.Cursor) })
	return nil
}

func (b *box) WithLock(ctx context.Context, _ string, fn func(ctx context.Context) error) (bool, error) {
	b.mu.Lock()
	held := b.held
	b.mu.Unlock()
	if held {
		return false, nil
	}
	return true, fn(ctx)
}

func (b *box) left() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.changes)
}

// broker records what was published and fails when told to.
type broker struct {
	mu   sync.Mutex
	got  []model.Change
	fail func(ch model.Change, tries int) bool
	try  map[int64]int
}

func (b *broker) publish(_ context.Context, ch model.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.try == nil {
		b.try = make(map[int64]int)
	}
	b.try[ch.Cursor]++
	if b.fail != nil && b.fail(ch, b.try[ch.Cursor]) {
		return errBroken
	}
	b.got = append(b.got, ch)
	return nil
}

// of are the cursors of one session's published changes, in order.
func (b *broker) of(session string) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var cursors []int64
	for _, ch := range b.got {
		if ch.Session == session {
			cursors = append(cursors, ch.Cursor)
		}
	}
	return cursors
}

func someChanges(sessions ...string) []model.Change {
	changes := make([]model.Change, len(sessions))
	for i, s := range sessions {
		changes[i] = model.Change{
			Cursor: int64(i + 1), ID: strconv.Itoa(i + 1), Tenant: "t", Session: s,
			Kind: model.KindRescheduled, Source: model.SourceOutlook, Cause: model.CauseNotification,
		}
	}
	return changes
}

func testRelay(o outbox, publish func(context.Context, model.Change) error) *relay {
	return &relay{
		outbox: o, publish: publish, metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler),
		wake: make(chan struct{}, 1), every: 5 * time.Second, retryMin: time.Second, retryMax: 10 * time.Second,
		sent: make(map[int64]bool),
	}
}

// runFor runs the relay for a while of the bubble's time.
func runFor(t *testing.T, r *relay, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRelayPublishesEachSessionInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox := &box{changes: someChanges("a", "b", "a", "a", "b", "c")}
		to := &broker{}
		r := testRelay(outbox, to.publish)
		runFor(t, r, time.Second)
		for session, want := range map[string][]int64{"a": {1, 3, 4}, "b": {2, 5}, "c": {6}} {
			if got := to.of(session); !slices.Equal(got, want) {
				t.Errorf("session %s: %v, want %v", session, got, want)
			}
		}
		if outbox.left() != 0 {
			t.Errorf("%d changes are left in the outbox", outbox.left())
		}
		if got := testutil.ToFloat64(r.metrics.changes.WithLabelValues("rescheduled", "outlook", "notification")); got != 6 {
			t.Errorf("%v changes were counted", got)
		}
	})
}

func TestRelayLetsNothingOvertakeAFailure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 40).Draw(rt, "sessions")
		failures := rapid.SliceOfN(rapid.IntRange(0, 3), len(names), len(names)).Draw(rt, "failures")
		failDone := rapid.IntRange(0, 3).Draw(rt, "failed strikes")
		synctest.Test(t, func(t *testing.T) {
			changes := someChanges(names...)
			outbox := &box{changes: slices.Clone(changes), failDone: failDone}
			to := &broker{fail: func(ch model.Change, tries int) bool { return tries <= failures[ch.Cursor-1] }}
			r := testRelay(outbox, to.publish)
			runFor(t, r, time.Hour)
			if outbox.left() != 0 {
				t.Errorf("%d changes are left", outbox.left())
			}
			for _, session := range []string{"a", "b", "c"} {
				var want []int64
				for _, ch := range changes {
					if ch.Session == session {
						want = append(want, ch.Cursor)
					}
				}
				if got := to.of(session); !slices.Equal(got, want) {
					t.Errorf("session %s: %v, want %v", session, got, want)
				}
			}
		})
	})
}

func TestRelayLooksByItselfAndWhenWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox, to := &box{}, &broker{}
		r := testRelay(outbox, to.publish)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		add := func(ch model.Change) {
			outbox.mu.Lock()
			defer outbox.mu.Unlock()
			outbox.changes = append(outbox.changes, ch)
		}
		add(someChanges("a")[0])
		r.wake <- struct{}{}
		synctest.Wait()
		if got := to.of("a"); len(got) != 1 {
			t.Errorf("woken it published %v", got)
		}
		add(someChanges("a", "a")[1])
		if err := pause(t.Context(), 5*time.Second); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := to.of("a"); len(got) != 2 {
			t.Errorf("by itself it published %v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRelayWaitsForTheLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox, to := &box{changes: someChanges("a"), held: true}, &broker{}
		r := testRelay(outbox, to.publish)
		go func() {
			if pause(t.Context(), time.Minute) == nil {
				outbox.mu.Lock()
				outbox.held = false
				outbox.mu.Unlock()
			}
		}()
		begun := time.Now()
		to.fail = func(model.Change, int) bool { return time.Since(begun) < time.Minute }
		runFor(t, r, 2*time.Minute)
		if got := to.of("a"); len(got) != 1 || to.try[1] != 1 {
			t.Errorf("published %v in %d tries", got, to.try[1])
		}
	})
}

// What another relay struck must not be remembered for ever.
func TestRelayForgetsWhatOthersStruck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox := &box{changes: someChanges("a", "b"), failDone: 1}
		r := testRelay(outbox, (&broker{}).publish)
		if _, err := r.publishSome(t.Context()); !errors.Is(err, errBroken) {
			t.Fatalf("got %v", err)
		}
		if len(r.sent) != 2 {
			t.Fatalf("%d are remembered as sent", len(r.sent))
		}
		outbox.mu.Lock()
		outbox.changes = outbox.changes[1:]
		outbox.mu.Unlock()
		if _, err := r.publishSome(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.publishSome(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.sent) != 0 {
			t.Errorf("%d are still remembered", len(r.sent))
		}
	})
}
