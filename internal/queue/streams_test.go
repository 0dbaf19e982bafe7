package queue_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
)

func TestOpenMakesTheStreamsOfTheContract(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	var openers sync.WaitGroup
	for range 4 { // Roles start at the same time.
		openers.Go(func() {
			if _, err := queue.Open(t.Context(), nc, queue.Config{}); err != nil {
				t.Error(err)
			}
		})
	}
	openers.Wait()
	b := benchOn(t, nc, queue.Config{})
	for name, want := range map[string]struct {
		subject   string
		retention jetstream.RetentionPolicy
		discard   jetstream.DiscardPolicy
	}{
		"PAIRSYNC_NOTIFICATIONS": {"pairsync.notifications.>", jetstream.WorkQueuePolicy, jetstream.DiscardNew},
		"PAIRSYNC_COMMANDS":      {"pairsync.commands.>", jetstream.WorkQueuePolicy, jetstream.DiscardNew},
		"PAIRSYNC_CHANGES":       {"pairsync.changes.>", jetstream.LimitsPolicy, jetstream.DiscardOld},
		"PAIRSYNC_DEADLETTERS":   {"pairsync.deadletters.>", jetstream.LimitsPolicy, jetstream.DiscardNew},
	} {
		s, err := b.js.Stream(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := s.CachedInfo().Config
		if !cmp.Equal(got.Subjects, []string{want.subject}) || got.Retention != want.retention || got.Discard != want.discard ||
			got.Storage != jetstream.FileStorage || got.MaxBytes <= 0 || got.Duplicates != 2*time.Minute {
			t.Errorf("%s is %+v", name, got)
		}
		if got.AllowAtomicPublish != (name == "PAIRSYNC_NOTIFICATIONS") {
			t.Errorf("%s allows atomic batches: %v", name, got.AllowAtomicPublish)
		}
	}
	if err := b.b.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.js.DeleteStream(t.Context(), queue.StreamNotifications); err != nil {
		t.Fatal(err)
	}
	if err := b.b.Ping(t.Context()); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without the stream a ping says %v", err)
	}
}

// TestOpenNamesWhatDoesNotFit has an operator who made a stream or a consumer by hand.
func TestOpenNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	notifications := jetstream.StreamConfig{
		Name: "PAIRSYNC_NOTIFICATIONS", Subjects: []string{"pairsync.notifications.>"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
	}
	consumer := jetstream.ConsumerConfig{Durable: "reconcile", AckPolicy: jetstream.AckExplicitPolicy}
	for name, c := range map[string]struct {
		stream   func(*jetstream.StreamConfig)
		consumer func(*jetstream.ConsumerConfig)
		want     queue.MismatchError
	}{
		"retention": {
			stream: func(s *jetstream.StreamConfig) { s.Retention = jetstream.LimitsPolicy },
			want:   queue.MismatchError{Field: "retention", Have: "Limits", Want: "WorkQueue"},
		},
		"discard": {
			stream: func(s *jetstream.StreamConfig) { s.Discard = jetstream.DiscardOld },
			want:   queue.MismatchError{Field: "discard", Have: "DiscardOld", Want: "DiscardNew"},
		},
		"subjects": {
			stream: func(s *jetstream.StreamConfig) { s.Subjects = []string{"pairsync.notifications.*"} },
			want:   queue.MismatchError{Field: "subjects", Have: "[pairsync.notifications.*]", Want: "[pairsync.notifications.>]"},
		},
		"storage": {
			stream: func(s *jetstream.StreamConfig) { s.Storage = jetstream.MemoryStorage },
			want:   queue.MismatchError{Field: "storage", Have: "Memory", Want: "File"},
		},
		"age": {
			stream: func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour },
			want:   queue.MismatchError{Field: "max_age", Have: "1h0m0s", Want: "none"},
		},
		"filter": {
			consumer: func(c *jetstream.ConsumerConfig) { c.FilterSubject = "pairsync.notifications.t-1.>" },
			want:     queue.MismatchError{Consumer: "reconcile", Field: "filter_subject", Have: `"pairsync.notifications.t-1.>"`, Want: `""`},
		},
		"deliveries": {
			consumer: func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 },
			want:     queue.MismatchError{Consumer: "reconcile", Field: "max_deliver", Have: "5", Want: "-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := testbed.NATS(t)
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			s, k := notifications, consumer
			if c.stream != nil {
				c.stream(&s)
			}
			made, err := js.CreateStream(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if c.consumer != nil {
				c.consumer(&k)
				if _, err := made.CreateConsumer(t.Context(), k); err != nil {
					t.Fatal(err)
				}
			}
			_, err = queue.Open(t.Context(), nc, queue.Config{})
			got, ok := errors.AsType[*queue.MismatchError](err)
			if !ok {
				t.Fatalf("Open returned %v", err)
			}
			c.want.Stream = "PAIRSYNC_NOTIFICATIONS"
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Errorf("mismatch (-want +got):\n%s", diff)
			}
			for _, word := range []string{c.want.Stream, c.want.Field, c.want.Have, c.want.Want} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q doesn't name %s", err, word)
				}
			}
			after, err := js.Stream(t.Context(), s.Name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(made.CachedInfo().Config, after.CachedInfo().Config); diff != "" {
				t.Errorf("the stream was altered:\n%s", diff)
			}
		})
	}
}

// TestOpenRaisesWhatOnlyAddsSafety and leaves an operator's sizes alone.
func TestOpenRaisesWhatOnlyAddsSafety(t *testing.T) {
	t.Parallel()
	nc := testbed.NATS(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "PAIRSYNC_NOTIFICATIONS", Subjects: []string{"pairsync.notifications.>"}, Description: "theirs",
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: 77, MaxBytes: 4711, Duplicates: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "reconcile", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1, BackOff: []time.Duration{time.Hour},
	}); err != nil {
		t.Fatal(err)
	}
	b := benchOn(t, nc, queue.Config{AckWait: 3 * time.Second})
	if s, err = b.js.Stream(t.Context(), queue.StreamNotifications); err != nil {
		t.Fatal(err)
	}
	got := s.CachedInfo().Config
	if !got.AllowAtomicPublish || got.Duplicates != 2*time.Minute || got.MaxMsgs != 77 || got.MaxBytes != 4711 || got.Description != "theirs" {
		t.Errorf("the stream is %+v", got)
	}
	c, err := s.Consumer(t.Context(), "reconcile")
	if err != nil {
		t.Fatal(err)
	}
	if have := c.CachedInfo().Config; have.AckWait != 3*time.Second || have.MaxAckPending != 250_000 || len(have.BackOff) != 0 {
		t.Errorf("the consumer is %+v", have)
	}
}
