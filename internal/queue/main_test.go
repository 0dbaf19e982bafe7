package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestMain(m *testing.M) { testbed.Main(m) }

// bench is a JetStream with pairsync's streams.
type bench struct {
	tb testing.TB
	nc *nats.Conn
	js jetstream.JetStream
	b  *queue.Broker
	c  *queue.Consumer // the one that was started last
}

func newBench(tb testing.TB, cfg queue.Config) *bench {
	tb.Helper()
	return benchOn(tb, testbed.NATS(tb), cfg)
}

func benchOn(tb testing.TB, nc *nats.Conn, cfg queue.Config) *bench {
	tb.Helper()
	b, err := queue.Open(tb.Context(), nc, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	return &bench{tb: tb, nc: nc, js: js, b: b}
}

// hint is the n-th hint about an event.
func hint(event string, n int) model.Hint {
	return model.Hint{
		Tenant: "t-1", Mailbox: "m-1", SubscriptionID: "s-1", ChangeType: model.ChangeUpdated, EventID: event,
		ChangeKey: fmt.Sprintf("ck-%d", n), ReceivedAt: time.Date(2026, 11, 21, 10, 0, n, 0, time.UTC),
	}
}

// publish puts hints into the stream, and waits until they are there.
func (b *bench) publish(hints ...model.Hint) {
	b.tb.Helper()
	for _, h := range hints {
		body, err := json.Marshal(h)
		if err != nil {
			b.tb.Fatal(err)
		}
		b.raw("pairsync.notifications."+h.Tenant+"."+h.Mailbox, body)
	}
}

func (b *bench) raw(subject string, body []byte) {
	b.tb.Helper()
	if _, err := b.js.Publish(b.tb.Context(), subject, body); err != nil {
		b.tb.Fatal(err)
	}
}

// run starts a consumer, and returns what ends it and waits.
func (b *bench) run(cfg queue.ConsumerConfig, handle queue.Handler) (stop func()) {
	b.tb.Helper()
	c := b.b.NewHintConsumer(cfg)
	b.c = c
	return testbed.Run(b.tb, "the consumer", func(ctx context.Context) error { return c.Run(ctx, handle) })
}

// held waits until the consumer that was started last has so many messages in hand.
func (b *bench) held(want int) {
	b.tb.Helper()
	testbed.Eventually(b.tb, fmt.Sprintf("%d messages in hand", want), func(context.Context) bool { return b.c.Held() == want })
}

// empty waits until nothing is left in the stream.
func (b *bench) empty() {
	b.tb.Helper()
	testbed.Eventually(b.tb, "the queue to be empty", func(ctx context.Context) bool {
		s, err := b.js.Stream(ctx, queue.StreamNotifications)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}

func (b *bench) deadLetters(want int) []queue.DeadLetter {
	b.tb.Helper()
	testbed.Eventually(b.tb, fmt.Sprintf("%d dead letters", want), func(ctx context.Context) bool {
		n, err := b.b.DeadLetterCount(ctx)
		return err == nil && n == want
	})
	list, err := b.b.DeadLetters(b.tb.Context(), 0, 1000)
	if err != nil {
		b.tb.Fatal(err)
	}
	return list
}

// record remembers the groups that a handler was given.
type record struct {
	mu     sync.Mutex
	groups []queue.Group
}

func (l *record) add(g queue.Group) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups = append(l.groups, g)
	return len(l.groups)
}

func (l *record) all() []queue.Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]queue.Group(nil), l.groups...)
}
