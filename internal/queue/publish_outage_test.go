package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestPublisherComesBackWithTheServer(t *testing.T) {
	t.Parallel()
	for _, mode := range []PublishMode{PublishBatch, PublishAsync} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			server := testbed.NATSServer(t)
			nc := server.Connect()
			js, stream := publishStream(t, nc, nil)
			p := startPublisher(t, nc, js, PublisherConfig{Mode: mode})
			got, err := p.Publish(within(t, 30*time.Second), hintsOf("before", 20))
			expectAll(t, "before", got, err, repeat(model.Stored, 20)...)

			server.Stop()
			testbed.Eventually(t, "the loss to be noticed", func(context.Context) bool { return !p.connected.Load() })
			began := time.Now()
			got, err = p.Publish(within(t, 30*time.Second), hintsOf("during", 20))
			expectAll(t, "during", got, err, repeat(model.Unconfirmed, 20)...)
			if took := time.Since(began); took > time.Second {
				t.Errorf("said no after %v", took)
			}

			server.Start()
			testbed.Eventually(t, "the publisher to come back", func(context.Context) bool {
				got, _ := p.Publish(within(t, time.Second), hintsOf("during", 20))
				return !slices.Contains(got, model.Unconfirmed)
			})
			if n := storedMessages(t, stream); n != 40 {
				t.Errorf("%d stored", n)
			}
		})
	}
}

// TestPublisherLosesNothingItConfirmed takes the server away in the middle of a stream of calls, again and again.
func TestPublisherLosesNothingItConfirmed(t *testing.T) {
	t.Parallel()
	server := testbed.NATSServer(t)
	nc := server.Connect()
	js, stream := publishStream(t, nc, nil)
	// Not in batches: a server that is stopped in the middle of one leaves a goroutine of the batch's store behind.
	p := startPublisher(t, nc, js, PublisherConfig{Mode: PublishAsync})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	confirmed := make(map[string]bool)
	var calls sync.WaitGroup
	for w := range 16 {
		calls.Go(func() {
			for i, fine := 0, 0; ctx.Err() == nil && fine < 2000; i++ {
				hints := hintsOf(fmt.Sprintf("%d-%d", w, i), 3)
				short, done := context.WithTimeout(ctx, time.Second)
				got, err := p.Publish(short, hints)
				done()
				if err == nil {
					fine++
				}
				mu.Lock()
				for k, c := range got {
					if c != model.Unconfirmed {
						confirmed[hints[k].EventID] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	for range 3 {
		had := func() int { mu.Lock(); defer mu.Unlock(); return len(confirmed) }
		before := had()
		testbed.Eventually(t, "some calls to succeed", func(context.Context) bool { return had() > before+100 })
		server.Stop()
		server.Start()
	}
	testbed.Eventually(t, "the publisher to come back", func(context.Context) bool {
		got, _ := p.Publish(within(t, time.Second), hintsOf("last", 1))
		return got[0] != model.Unconfirmed
	})
	cancel()
	calls.Wait()

	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	if err != nil {
		t.Fatal(err)
	}
	stored := make(map[string]int)
	for want := storedMessages(t, stream); want > 0; {
		batch, err := consumer.Fetch(min(want, 1000))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			h, err := decodeHint(m.Data())
			if err != nil {
				t.Fatal(err)
			}
			stored[h.EventID]++
			want--
		}
	}
	lost, doubled := 0, 0
	for id := range confirmed {
		if stored[id] == 0 {
			lost++
		}
	}
	for _, n := range stored {
		if n > 1 {
			doubled++
		}
	}
	t.Logf("%d confirmed, %d stored", len(confirmed), len(stored))
	if lost > 0 || doubled > 0 {
		t.Errorf("%d confirmed hints are not in the stream, %d are there twice", lost, doubled)
	}
}
