package queue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	mebibyte = 1 << 20
	// answerTimeout bounds one question to the JetStream API.
	answerTimeout = 5 * time.Second
)

// Config says how the streams and consumers are made. Streams that exist keep their sizes and ages: those are the
// operator's.
type Config struct {
	// Replicas is how many servers hold each stream. Zero: 1. A stream with fewer gets more; one with more keeps them.
	Replicas int
	// AckWait is how long a message may be in hand without a sign of life before it is delivered again. Zero: 20 s. It is
	// also how long the work in hand of a killed process waits for another one.
	AckWait time.Duration
	// MaxAckPending is how many messages may be in hand or wait for a later try at the same time; with that many, nothing
	// else is delivered. Zero: 250,000.
	MaxAckPending int
	// NotificationBytes is the size at which the door has to refuse. Zero: 512 MiB, about a million and a half hints.
	NotificationBytes int64
	// CommandBytes is the size at which the platform's commands are refused. Zero: 128 MiB.
	CommandBytes int64
	// ChangeBytes and ChangeAge are how much of the past the changes hold. Zero: 256 MiB, 7 days.
	ChangeBytes int64
	ChangeAge   time.Duration
	// DeadLetterBytes is the size at which messages that failed for good stay where they were. Zero: 128 MiB.
	DeadLetterBytes int64
	// Duplicates is for how long a message id is remembered. Zero: 2 minutes.
	Duplicates time.Duration
}

func (c Config) withDefaults() Config {
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.AckWait = cmp.Or(c.AckWait, 20*time.Second)
	c.MaxAckPending = cmp.Or(c.MaxAckPending, 250_000)
	c.NotificationBytes = cmp.Or(c.NotificationBytes, 512*mebibyte)
	c.CommandBytes = cmp.Or(c.CommandBytes, 128*mebibyte)
	c.ChangeBytes = cmp.Or(c.ChangeBytes, 256*mebibyte)
	c.ChangeAge = cmp.Or(c.ChangeAge, 7*24*time.Hour)
	c.DeadLetterBytes = cmp.Or(c.DeadLetterBytes, 128*mebibyte)
	c.Duplicates = cmp.Or(c.Duplicates, 2*time.Minute)
	return c
}

// Broker is pairsync's part of a JetStream.
type Broker struct {
	cfg Config
	nc  *nats.Conn
	js  jetstream.JetStream
}

// Open declares the streams and consumers that are missing and looks at those that exist. Settings that only add safety
// are raised; a setting with which messages could get lost or stuck is an error that names it, with what is there and what
// is needed, and nothing is changed.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Broker, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerTimeout))
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	b := &Broker{cfg: cfg.withDefaults(), nc: nc, js: js}
	if err := b.declare(ctx); err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return b, nil
}

// NewPublisher returns what makes hints durable; its Run must be running.
func (b *Broker) NewPublisher(cfg PublisherConfig) *Publisher {
	return NewPublisher(b.nc, b.js, cfg)
}

// Ping tells whether JetStream answers and has the stream that everything begins with.
func (b *Broker) Ping(ctx context.Context) error {
	if _, err := b.js.Stream(ctx, StreamNotifications); err != nil {
		return fmt.Errorf("asking for stream %s: %w", StreamNotifications, err)
	}
	return nil
}

// PublishEvent makes a committed change durable in PAIRSYNC_CHANGES. body is a CloudEvent in structured JSON. The same
// msgID within the duplicate window is stored once, so a try whose answer got lost may be repeated.
func (b *Broker) PublishEvent(ctx context.Context, to EventSubject, msgID string, body []byte) error {
	m := nats.NewMsg(to.subject())
	m.Data = body
	m.Header[nats.MsgIdHdr] = []string{msgID}
	m.Header[headerContentType] = []string{"application/cloudevents+json"}
	inject(ctx, m.Header)
	if _, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamChanges)); err != nil {
		return fmt.Errorf("publishing a change: %w", err)
	}
	return nil
}
