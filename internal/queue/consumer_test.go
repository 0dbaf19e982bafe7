package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// TestHintsAboutOneEventAreOneGroup holds the only worker at the first group until everything else has arrived.
func TestHintsAboutOneEventAreOneGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	var seen record
	begun, gate := make(chan struct{}), make(chan struct{})
	b.publish(hint("gate", 0))
	stop := b.run(queue.ConsumerConfig{Concurrency: 1}, func(_ context.Context, g queue.Group) error {
		if seen.add(g) == 1 {
			close(begun)
			<-gate
		}
		return nil
	})
	testbed.Receive(t, "the first group", begun)
	for n := range 10 {
		b.publish(hint("A", n))
	}
	other := hint("A", 1)
	other.Mailbox = "m-2"
	b.publish(hint("gate", 1), other, hint("a", 0))
	missed := model.Hint{Tenant: "t-1", Mailbox: "m-1", SubscriptionID: "s-1", Lifecycle: model.LifecycleMissed, ReceivedAt: time.Now().UTC()}
	removed := missed
	removed.Lifecycle = model.LifecycleSubscriptionRemoved
	b.publish(missed, removed, missed)
	b.held(17)
	close(gate)
	b.empty()
	stop()

	var sizes []string
	for _, g := range seen.all() {
		h := g.Hints[0]
		sizes = append(sizes, fmt.Sprintf("%s/%s%s: %d", h.Mailbox, h.EventID, h.Lifecycle, len(g.Hints)))
	}
	want := []string{"m-1/gate: 1", "m-1/A: 10", "m-1/gate: 1", "m-2/A: 1", "m-1/a: 1", "m-1/missed: 2", "m-1/subscriptionRemoved: 1"}
	slices.Sort(sizes)
	slices.Sort(want)
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	for _, g := range seen.all() {
		for n, h := range g.Hints {
			if len(g.Hints) == 10 && !cmp.Equal(h, hint("A", n)) {
				t.Errorf("hint %d of the ten is %+v", n, h)
			}
		}
	}
}

// TestOneEventIsNeverWorkedOnTwiceAtATime has many workers, few events, and hints that arrive all the time.
func TestOneEventIsNeverWorkedOnTwiceAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	var running [3]atomic.Int32
	var handled atomic.Int64
	stop := b.run(queue.ConsumerConfig{Concurrency: 8}, func(_ context.Context, g queue.Group) error {
		event := int(g.Hints[0].EventID[0] - '0')
		if running[event].Add(1) != 1 {
			t.Errorf("event %d is worked on twice", event)
		}
		<-time.After(time.Millisecond)
		running[event].Add(-1)
		handled.Add(int64(len(g.Hints)))
		return nil
	})
	for n := range 300 {
		b.publish(hint(fmt.Sprint(n%3), n))
	}
	b.empty()
	stop()
	if handled.Load() != 300 {
		t.Errorf("%d of 300 hints were handled", handled.Load())
	}
}

func TestLaterAsToldNeverCountsAsFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	var seen record
	b.publish(hint("A", 0))
	stop := b.run(queue.ConsumerConfig{MaxAttempts: 2}, func(_ context.Context, g queue.Group) error {
		if seen.add(g) < 6 {
			return queue.RetryAfter(0, errors.New("throttled"))
		}
		return nil
	})
	b.empty()
	stop()
	groups := seen.all()
	last := groups[len(groups)-1]
	if len(groups) != 6 || last.Attempt != 6 || last.Failures != 0 {
		t.Errorf("%d tries, the last one is attempt %d with %d failures", len(groups), last.Attempt, last.Failures)
	}
	b.deadLetters(0)
}

func TestLaterMeansLater(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	var first, second time.Time
	b.publish(hint("A", 0))
	stop := b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
		if first.IsZero() {
			first = time.Now()
			return queue.RetryAfter(400*time.Millisecond, errors.New("as Retry-After said"))
		}
		second = time.Now()
		return nil
	})
	b.empty()
	stop()
	if waited := second.Sub(first); waited < 400*time.Millisecond {
		t.Errorf("it came again after %v", waited)
	}
}

// TestFailuresAreCountedAcrossProcesses has every failure happen in a consumer of its own.
func TestFailuresAreCountedAcrossProcesses(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	b.publish(hint("A", 0))
	cfg := queue.ConsumerConfig{MaxAttempts: 3, RetryMin: 10 * time.Millisecond}
	for want := range 3 {
		failed := make(chan queue.Group, 1)
		stop := b.run(cfg, func(_ context.Context, g queue.Group) error {
			select {
			case failed <- g:
			default:
				return queue.RetryAfter(time.Minute, errors.New("only once in each"))
			}
			return fmt.Errorf("the body\nof failure %d", want)
		})
		if g := testbed.Receive(t, "a try", failed); g.Failures != want {
			t.Errorf("try %d knows of %d failures", want, g.Failures)
		}
		stop()
	}
	b.empty()
	dead := b.deadLetters(1)[0]
	if dead.Reason != queue.ReasonExhausted || dead.Error != "the body of failure 2" || dead.Attempts != 3 ||
		dead.Origin != queue.StreamNotifications || dead.Subject != "pairsync.notifications.t-1.m-1" {
		t.Errorf("the dead letter is %+v", dead)
	}
	if age := time.Since(dead.FirstReceivedAt); age < 0 || age > time.Minute || dead.DiedAt.Before(dead.FirstReceivedAt) {
		t.Errorf("received %v, died %v", dead.FirstReceivedAt, dead.DiedAt)
	}
}

// TestWhatAKilledProcessHeldIsDeliveredAgain cuts the connection between the handler's work and the acknowledgement.
func TestWhatAKilledProcessHeldIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	s := testbed.NATSServer(t)
	b := benchOn(t, s.Connect(), queue.Config{AckWait: 500 * time.Millisecond})
	b.publish(hint("A", 0))

	doomed := s.Connect()
	victim, err := queue.Open(t.Context(), doomed, queue.Config{AckWait: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- victim.NewHintConsumer(queue.ConsumerConfig{}).Run(t.Context(), func(context.Context, queue.Group) error {
			doomed.Close()
			return nil
		})
	}()
	if err := testbed.Receive(t, "the victim's end", done); err == nil {
		t.Error("a closed connection is no error")
	}
	again := make(chan queue.Group, 1)
	b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
		again <- g
		return nil
	})
	if g := testbed.Receive(t, "the second delivery", again); g.Attempt != 2 {
		t.Errorf("it is attempt %d", g.Attempt)
	}
	b.empty()
}

func TestSignsOfLifeKeepAMessageInHand(t *testing.T) {
	t.Parallel()
	const wait = time.Second
	b := newBench(t, queue.Config{AckWait: wait})
	var tries atomic.Int32
	b.publish(hint("A", 0), hint("B", 0))
	stop := b.run(queue.ConsumerConfig{Concurrency: 1}, func(context.Context, queue.Group) error {
		tries.Add(1)
		<-time.After(2 * wait) // B waits in hand for as long as A runs.
		return nil
	})
	b.empty()
	stop()
	if tries.Load() != 2 {
		t.Errorf("two messages were handled %d times", tries.Load())
	}
}

func TestTheEndGivesBackWhatHasNotBegun(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{AckWait: time.Hour})
	begun, gate := make(chan struct{}), make(chan struct{})
	b.publish(hint("running", 0))
	var once sync.Once
	stop := b.run(queue.ConsumerConfig{Concurrency: 1}, func(ctx context.Context, g queue.Group) error {
		once.Do(func() { close(begun) })
		<-gate
		if g.Hints[0].EventID != "running" {
			t.Errorf("%s was begun", g.Hints[0].EventID)
		}
		return ctx.Err()
	})
	testbed.Receive(t, "the first group", begun)
	b.publish(hint("waiting", 0), hint("running", 1))
	b.held(3)
	ended := make(chan struct{})
	go func() { defer close(ended); stop() }()
	// Given back while the other one still runs.
	var seen record
	b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
		seen.add(g)
		return nil
	})
	testbed.Eventually(t, "the returned hints", func(context.Context) bool { return len(seen.all()) == 2 })
	close(gate)
	testbed.Receive(t, "the end", ended)
	b.empty()
	if len(seen.all()) != 2 {
		t.Errorf("the one that was finished came again: %+v", seen.all())
	}
}

func TestGraceEndsAndIsNoFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{AckWait: time.Hour})
	b.publish(hint("A", 0))
	begun := make(chan struct{})
	stop := b.run(queue.ConsumerConfig{Grace: 50 * time.Millisecond, MaxAttempts: 1}, func(ctx context.Context, _ queue.Group) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	testbed.Receive(t, "the group", begun)
	stop()
	again := make(chan queue.Group, 1)
	b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
		again <- g
		return nil
	})
	if g := testbed.Receive(t, "the returned hint", again); g.Failures != 0 || g.Attempt != 2 {
		t.Errorf("it came as attempt %d with %d failures", g.Attempt, g.Failures)
	}
	b.deadLetters(0)
}

func TestConsumersShareTheWork(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	const hints = 400
	var done [2]atomic.Int64
	for i := range done {
		b.run(queue.ConsumerConfig{Window: 16, Concurrency: 4}, func(_ context.Context, g queue.Group) error {
			done[i].Add(int64(len(g.Hints)))
			<-time.After(time.Millisecond)
			return nil
		})
	}
	for n := range hints {
		b.publish(hint(fmt.Sprint(n), n))
	}
	b.empty()
	if done[0].Load() == 0 || done[1].Load() == 0 || done[0].Load()+done[1].Load() != hints {
		t.Errorf("they handled %d and %d of %d", done[0].Load(), done[1].Load(), hints)
	}
}
