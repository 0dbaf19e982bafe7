package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/testbed"
	"pairsync/model"
)

func publishStream(t *testing.T, nc *nats.Conn, edit func(*jetstream.StreamConfig)) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := jetstream.StreamConfig{
		Name: StreamNotifications, Subjects: []string{prefixNotifications + ">"}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, AllowAtomicPublish: true, Duplicates: 2 * time.Minute,
	}
	if edit != nil {
		edit(&cfg)
	}
	stream, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return js, stream
}

func startPublisher(t *testing.T, nc *nats.Conn, js jetstream.JetStream, cfg PublisherConfig) *Publisher {
	t.Helper()
	p := NewPublisher(nc, js, cfg)
	testbed.Run(t, "publisher", p.Run)
	if cfg.Mode != PublishAsync {
		testbed.Eventually(t, "batches to be known", func(context.Context) bool { return p.batches.Load() })
	}
	return p
}

// hintsOf makes hints of different events and versions.
func hintsOf(prefix string, n int) []model.Hint {
	hints := make([]model.Hint, n)
	for i := range hints {
		hints[i] = model.Hint{
			Tenant: "t", Mailbox: "m", SubscriptionID: "s", ChangeType: model.ChangeUpdated,
			EventID: fmt.Sprintf("%s-%d", prefix, i), ChangeKey: "k", ReceivedAt: time.Now(),
		}
	}
	return hints
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func expectAll(t *testing.T, what string, got []model.Confirmation, err error, want ...model.Confirmation) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
	if (err != nil) != slices.Contains(want, model.Unconfirmed) {
		t.Errorf("%s: error %v", what, err)
	}
}

func repeat(c model.Confirmation, n int) []model.Confirmation {
	all := make([]model.Confirmation, n)
	for i := range all {
		all[i] = c
	}
	return all
}

func storedMessages(t *testing.T, s jetstream.Stream) int {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int(info.State.Msgs)
}

func TestPublishStoresInEveryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []PublishMode{PublishAuto, PublishBatch, PublishAsync} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			nc := testbed.NATS(t)
			js, stream := publishStream(t, nc, nil)
			p := startPublisher(t, nc, js, PublisherConfig{Mode: mode})
			ctx := within(t, 30*time.Second)
			if got, err := p.Publish(ctx, nil); len(got) != 0 || err != nil {
				t.Errorf("nothing: %v, %v", got, err)
			}
			for _, n := range []int{1, 3, 100, 2500} {
				got, err := p.Publish(ctx, hintsOf(fmt.Sprint(n), n))
				expectAll(t, fmt.Sprint(n), got, err, repeat(model.Stored, n)...)
			}
			got, err := p.Publish(ctx, hintsOf("3", 4))
			expectAll(t, "repeated", got, err, model.Duplicate, model.Duplicate, model.Duplicate, model.Stored)
			if n := storedMessages(t, stream); n != 2605 {
				t.Errorf("%d stored", n)
			}
			if n := p.open.Load(); n != 0 {
				t.Errorf("%d hints are still open", n)
			}
		})
	}
}

func TestPublishKnowsTwins(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, stream := publishStream(t, nc, nil)
	p := startPublisher(t, nc, js, PublisherConfig{Mode: PublishBatch})
	one := hintsOf("twin", 1)[0]
	none := one
	none.ChangeKey = ""
	got, err := p.Publish(within(t, 30*time.Second), []model.Hint{one, one, none, none})
	expectAll(t, "in one call", got, err, model.Stored, model.Duplicate, model.Stored, model.Stored)
	if n := storedMessages(t, stream); n != 3 {
		t.Errorf("%d stored", n)
	}
}

// TestPublishBatchesWhatWaits lets ten calls wait for the publisher to run, as they would wait for a batch under way.
func TestPublishBatchesWhatWaits(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, stream := publishStream(t, nc, nil)
	p := NewPublisher(nc, js, PublisherConfig{Mode: PublishBatch})
	p.batches.Store(true)
	ctx := within(t, 30*time.Second)
	var calls sync.WaitGroup
	for i := range 10 {
		calls.Go(func() {
			got, err := p.Publish(ctx, hintsOf(fmt.Sprint(i), 5))
			expectAll(t, "concurrent", got, err, repeat(model.Stored, 5)...)
		})
	}
	testbed.Eventually(t, "all calls to wait", func(context.Context) bool { return p.open.Load() == 50 })
	testbed.Run(t, "publisher", p.Run)
	calls.Wait()

	batches := make(map[string]int)
	for seq := range uint64(50) {
		m, err := stream.GetMsg(ctx, seq+1)
		if err != nil {
			t.Fatal(err)
		}
		batches[m.Header.Get(headerBatchID)]++
	}
	if len(batches) > 2 || batches[""] > 0 {
		t.Errorf("batches %v, want one or two", batches)
	}
}

// TestPublishSurvivesARepeatedID has another door publish some of a batch's messages first.
func TestPublishSurvivesARepeatedID(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, stream := publishStream(t, nc, nil)
	one := startPublisher(t, nc, js, PublisherConfig{Mode: PublishBatch})
	other := startPublisher(t, nc, js, PublisherConfig{Mode: PublishBatch})
	ctx := within(t, 30*time.Second)
	got, err := one.Publish(ctx, hintsOf("e", 2))
	expectAll(t, "first door", got, err, model.Stored, model.Stored)
	got, err = other.Publish(ctx, hintsOf("e", 4))
	expectAll(t, "second door", got, err, model.Duplicate, model.Duplicate, model.Stored, model.Stored)
	if n := storedMessages(t, stream); n != 4 {
		t.Errorf("%d stored", n)
	}
}

func TestPublishWithoutBatches(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, stream := publishStream(t, nc, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false })
	p := NewPublisher(nc, js, PublisherConfig{Mode: PublishBatch})
	testbed.Run(t, "publisher", p.Run)
	ctx := within(t, 30*time.Second)
	got, err := p.Publish(ctx, hintsOf("a", 20))
	expectAll(t, "by the stream's settings", got, err, repeat(model.Stored, 20)...)

	p.batches.Store(true) // as if the settings had been changed meanwhile
	got, err = p.Publish(ctx, hintsOf("b", 20))
	expectAll(t, "by the server's word", got, err, repeat(model.Stored, 20)...)
	if p.batches.Load() {
		t.Error("batches are still believed in")
	}
	if n := storedMessages(t, stream); n != 40 {
		t.Errorf("%d stored", n)
	}
}

func TestPublishToAFullStream(t *testing.T) {
	t.Parallel()
	for _, mode := range []PublishMode{PublishBatch, PublishAsync} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			nc := testbed.NATS(t)
			js, stream := publishStream(t, nc, func(c *jetstream.StreamConfig) { c.MaxMsgs = 3 })
			p := startPublisher(t, nc, js, PublisherConfig{Mode: mode})
			ctx := within(t, 30*time.Second)
			got, err := p.Publish(ctx, hintsOf("a", 3))
			expectAll(t, "with room", got, err, repeat(model.Stored, 3)...)
			got, err = p.Publish(ctx, hintsOf("b", 2))
			expectAll(t, "without", got, err, model.Unconfirmed, model.Unconfirmed)
			var refused *ackError
			if !errors.As(err, &refused) || refused.Code != 503 {
				t.Errorf("error %v", err)
			}
			if err := stream.Purge(ctx); err != nil {
				t.Fatal(err)
			}
			got, err = p.Publish(ctx, hintsOf("b", 2))
			expectAll(t, "with room again", got, err, model.Stored, model.Stored)
		})
	}
}

func TestPublishWithoutAStream(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPublisher(nc, js, PublisherConfig{})
	testbed.Run(t, "publisher", p.Run)
	got, err := p.Publish(within(t, 30*time.Second), hintsOf("a", 2))
	expectAll(t, "no stream", got, err, model.Unconfirmed, model.Unconfirmed)
	if !errors.Is(err, errNoStream) {
		t.Errorf("error %v", err)
	}
}

func TestPublishNeverOutlivesItsContext(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, stream := publishStream(t, nc, nil)
	p := NewPublisher(nc, js, PublisherConfig{}) // nobody runs it yet
	got, err := p.Publish(within(t, 10*time.Millisecond), hintsOf("a", 2))
	expectAll(t, "late", got, err, model.Unconfirmed, model.Unconfirmed)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	// A second call for the same hints joins the first one's, and a third comes after them.
	second := make(chan []model.Confirmation)
	go func() {
		got, _ := p.Publish(within(t, 30*time.Second), hintsOf("a", 3))
		second <- got
	}()
	testbed.Eventually(t, "the second call to wait", func(context.Context) bool { return p.open.Load() == 3 })
	testbed.Run(t, "publisher", p.Run)
	// What nobody waits for any more is not published, and whoever joined it is told so.
	expected := []model.Confirmation{model.Unconfirmed, model.Unconfirmed, model.Stored}
	if diff := cmp.Diff(expected, testbed.Receive(t, "the second call", second)); diff != "" {
		t.Error(diff)
	}
	got, err = p.Publish(within(t, 30*time.Second), hintsOf("a", 3))
	expectAll(t, "again", got, err, model.Stored, model.Stored, model.Duplicate)
	if n := storedMessages(t, stream); n != 3 {
		t.Errorf("%d stored", n)
	}
}

func TestPublishBoundsWhatWaits(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, _ := publishStream(t, nc, nil)
	p := NewPublisher(nc, js, PublisherConfig{MaxWaiting: 3})
	first := make(chan error)
	go func() {
		_, err := p.Publish(within(t, 30*time.Second), hintsOf("a", 2))
		first <- err
	}()
	testbed.Eventually(t, "the first call to wait", func(context.Context) bool { return p.open.Load() == 2 })
	got, err := p.Publish(within(t, 30*time.Second), hintsOf("b", 2))
	expectAll(t, "over the bound", got, err, model.Unconfirmed, model.Unconfirmed)
	if !errors.Is(err, errPublisherFull) {
		t.Errorf("error %v", err)
	}
	testbed.Run(t, "publisher", p.Run)
	if err := testbed.Receive(t, "the first call", first); err != nil {
		t.Error(err)
	}
}

func TestPublisherDrains(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, stream := publishStream(t, nc, nil)
	p := NewPublisher(nc, js, PublisherConfig{})
	done := make(chan error)
	go func() {
		_, err := p.Publish(within(t, 30*time.Second), hintsOf("a", 500))
		done <- err
	}()
	testbed.Eventually(t, "the call to wait", func(context.Context) bool { return p.open.Load() == 500 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // ended before it began: what was accepted is published all the same
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.Receive(t, "the call", done); err != nil {
		t.Error(err)
	}
	if n := storedMessages(t, stream); n != 500 {
		t.Errorf("%d stored", n)
	}
	if _, err := p.Publish(within(t, 30*time.Second), hintsOf("b", 1)); !errors.Is(err, errPublisherClosed) {
		t.Errorf("afterwards: %v", err)
	}
}
