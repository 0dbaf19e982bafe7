package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
)

// TestTheServerGoesAndComesBack takes it away in the middle of the work, twice.
func TestTheServerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	s := testbed.NATSServer(t)
	b := benchOn(t, s.Connect(), queue.Config{AckWait: 2 * time.Second})
	const hints = 600
	for n := range hints {
		b.publish(hint(fmt.Sprint(n), n))
	}
	var mu sync.Mutex
	seen := make(map[string]bool)
	progress := make(chan int, 10*hints)
	stop := b.run(queue.ConsumerConfig{Concurrency: 4, Window: 64}, func(_ context.Context, g queue.Group) error {
		<-time.After(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		seen[g.Hints[0].EventID] = true
		progress <- len(seen)
		return nil
	})
	for _, until := range []int{hints / 4, hints / 2} {
		for testbed.Receive(t, "progress", progress) < until {
		}
		s.Stop()
		testbed.Eventually(t, "the connection to break", func(context.Context) bool { return !b.nc.IsConnected() })
		s.Start()
	}
	b.empty()
	stop()
	if len(seen) != hints {
		t.Errorf("%d of %d events were handled", len(seen), hints)
	}
}

func TestAConsumerThatWasDeletedIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(b *bench) error{
		"consumer": func(b *bench) error {
			return b.js.DeleteConsumer(b.tb.Context(), queue.StreamNotifications, queue.ConsumerReconcile)
		},
		"stream": func(b *bench) error { return b.js.DeleteStream(b.tb.Context(), queue.StreamNotifications) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, queue.Config{})
			handled := make(chan string, 10)
			b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
				handled <- g.Hints[0].EventID
				return nil
			})
			b.publish(hint("before", 0))
			if got := testbed.Receive(t, "the first hint", handled); got != "before" {
				t.Errorf("got %s", got)
			}
			b.empty() // Else it is delivered again.
			if err := remove(b); err != nil {
				t.Fatal(err)
			}
			testbed.Eventually(t, "the consumer to be there again", func(ctx context.Context) bool {
				_, err := b.js.Consumer(ctx, queue.StreamNotifications, queue.ConsumerReconcile)
				return err == nil
			})
			b.publish(hint("after", 0))
			if got := testbed.Receive(t, "the second hint", handled); got != "after" {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestAFullStreamRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{NotificationBytes: 20_000})
	stored := 0
	for {
		_, err := b.js.Publish(t.Context(), "pairsync.notifications.t-1.m-1", []byte(`{"tenant":"t-1","mailbox":"m-1","event":"`+fmt.Sprint(stored)+`"}`))
		if err != nil {
			if !strings.Contains(err.Error(), "maximum bytes exceeded") {
				t.Fatal(err)
			}
			break
		}
		stored++
	}
	// A failure that can't be put back because the stream is full isn't lost either.
	var seen record
	refused := make(chan struct{})
	var once sync.Once
	b.run(queue.ConsumerConfig{MaxAttempts: 100, RetryMin: 10 * time.Millisecond, Concurrency: 1}, func(_ context.Context, g queue.Group) error {
		first := false
		once.Do(func() { first = true; close(refused) })
		if first {
			return errors.New("fails while the stream is full")
		}
		<-refused
		seen.add(g)
		return nil
	})
	b.empty()
	if n := len(seen.all()); n != stored {
		t.Errorf("%d of %d were handled", n, stored)
	}
	b.deadLetters(0)
}

// TestDeadLettersThatAreFullKeepTheMessage leaves it where it was, to be tried again.
func TestDeadLettersThatAreFullKeepTheMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{DeadLetterBytes: 1})
	b.publish(hint("A", 0))
	tries := make(chan int, 100)
	b.run(queue.ConsumerConfig{RetryMin: 10 * time.Millisecond}, func(_ context.Context, g queue.Group) error {
		tries <- g.Attempt
		if g.Attempt < 3 {
			return queue.Drop("hopeless", errors.New("no"))
		}
		return nil
	})
	for testbed.Receive(t, "another try", tries) < 3 {
	}
	b.empty()
	b.deadLetters(0)
}
