package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// MismatchError is a stream or consumer that exists with a setting under which messages could get lost or stuck.
type MismatchError struct {
	// Stream is the stream's name, and Consumer the consumer's if it is one.
	Stream   string
	Consumer string
	// Field is the setting as the NATS tools call it.
	Field string
	Have  string
	Want  string
}

// Error names the setting, what it is and what it has to be.
func (m *MismatchError) Error() string {
	name := "stream " + m.Stream
	if m.Consumer != "" {
		name = "consumer " + m.Stream + "/" + m.Consumer
	}
	return fmt.Sprintf("%s exists with %s %s, but needs %s", name, m.Field, m.Have, m.Want)
}

// streams are the four of the contract.
func (c Config) streams() []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: c.Replicas, Duplicates: c.Duplicates, AllowDirect: true,
		MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
	}
	notifications, commands, changes, dead := base, base, base, base

	notifications.Name, notifications.Subjects = StreamNotifications, []string{prefixNotifications + ">"}
	notifications.Description = "Accepted Graph notifications until reconciled"
	notifications.Retention, notifications.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	notifications.MaxBytes = c.NotificationBytes
	// A server before 2.12 doesn't know it, leaves it out of what it stores, and is published to one by one.
	notifications.AllowAtomicPublish = true

	commands.Name, commands.Subjects = StreamCommands, []string{prefixCommands + ">"}
	commands.Description = "Platform-side changes on their way to Outlook"
	commands.Retention, commands.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	commands.MaxBytes = c.CommandBytes

	changes.Name, changes.Subjects = StreamChanges, []string{prefixChanges + ">"}
	changes.Description = "Committed changes as CloudEvents"
	changes.Retention, changes.Discard = jetstream.LimitsPolicy, jetstream.DiscardOld
	changes.MaxBytes, changes.MaxAge = c.ChangeBytes, c.ChangeAge

	dead.Name, dead.Subjects = StreamDeadLetters, []string{prefixDeadLetters + ">"}
	dead.Description = "What failed for good, with the reason in headers"
	dead.Retention, dead.Discard = jetstream.LimitsPolicy, jetstream.DiscardNew
	dead.MaxBytes = c.DeadLetterBytes

	return []jetstream.StreamConfig{notifications, commands, changes, dead}
}

// consumers maps the work queues to their durable consumer.
func (c Config) consumers() map[string]jetstream.ConsumerConfig {
	base := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait: c.AckWait, MaxDeliver: -1, MaxAckPending: c.MaxAckPending,
	}
	reconcile, apply := base, base
	reconcile.Durable, reconcile.Description = ConsumerReconcile, "Outlook to sessions"
	apply.Durable, apply.Description = ConsumerApply, "Sessions to Outlook"
	return map[string]jetstream.ConsumerConfig{StreamNotifications: reconcile, StreamCommands: apply}
}

// declare checks what is there, and only if all of it fits makes what is missing and raises what may be raised.
func (b *Broker) declare(ctx context.Context) error {
	for _, step := range []func(context.Context, jetstream.StreamConfig) error{b.checkStream, b.declareStream} {
		for _, want := range b.cfg.streams() {
			if err := step(ctx, want); err != nil {
				return err
			}
		}
	}
	for stream, want := range b.cfg.consumers() {
		if err := b.declareConsumer(ctx, stream, want); err != nil {
			return err
		}
	}
	return nil
}

// checkStream looks at the stream and its consumer; what isn't there fits.
func (b *Broker) checkStream(ctx context.Context, want jetstream.StreamConfig) error {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	if m := streamMismatch(s.CachedInfo().Config, want); m != nil {
		return m
	}
	consumer, ok := b.cfg.consumers()[want.Name]
	if !ok {
		return nil
	}
	c, err := s.Consumer(ctx, consumer.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("consumer %s/%s: %w", want.Name, consumer.Durable, err)
	}
	if m := consumerMismatch(want.Name, c.CachedInfo().Config, consumer); m != nil {
		return m
	}
	return nil
}

func (b *Broker) declareStream(ctx context.Context, want jetstream.StreamConfig) error {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // Another process was faster.
			s, err = b.js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	raised, changed := raiseStream(s.CachedInfo().Config, want)
	if !changed {
		return nil
	}
	if _, err := b.js.UpdateStream(ctx, raised); err != nil {
		return fmt.Errorf("raising the settings of stream %s: %w", want.Name, err)
	}
	return nil
}

// streamMismatch looks at the settings under which a message could be refused, dropped or kept where it shouldn't.
func streamMismatch(have, want jetstream.StreamConfig) *MismatchError {
	slices.Sort(have.Subjects)
	for _, f := range []struct {
		field, have, want string
	}{
		{"subjects", fmt.Sprint(have.Subjects), fmt.Sprint(want.Subjects)},
		{"retention", have.Retention.String(), want.Retention.String()},
		{"discard", have.Discard.String(), want.Discard.String()},
		{"storage", have.Storage.String(), want.Storage.String()},
		{"no_ack", strconv.FormatBool(have.NoAck), "false"},
		{"sealed", strconv.FormatBool(have.Sealed), "false"},
		{"deny_delete", strconv.FormatBool(have.DenyDelete), "false"},
	} {
		if f.have != f.want {
			return &MismatchError{Stream: want.Name, Field: f.field, Have: f.have, Want: f.want}
		}
	}
	if want.Discard == jetstream.DiscardNew {
		if have.MaxAge != 0 {
			return &MismatchError{Stream: want.Name, Field: "max_age", Have: have.MaxAge.String(), Want: "none"}
		}
		if have.MaxMsgsPerSubject > 0 && !have.DiscardNewPerSubject {
			return &MismatchError{Stream: want.Name, Field: "max_msgs_per_subject", Have: strconv.FormatInt(have.MaxMsgsPerSubject, 10), Want: "none"}
		}
	}
	return nil
}

// raiseStream returns have with what only adds safety or speed.
func raiseStream(have, want jetstream.StreamConfig) (raised jetstream.StreamConfig, changed bool) {
	raised = have
	if have.Replicas < want.Replicas {
		raised.Replicas, changed = want.Replicas, true
	}
	if have.Duplicates < want.Duplicates {
		raised.Duplicates, changed = want.Duplicates, true
	}
	// Asked for again at every start, in case the server has been brought up to date; an older one leaves it out again.
	if want.AllowAtomicPublish && !have.AllowAtomicPublish {
		raised.AllowAtomicPublish, changed = true, true
	}
	return raised, changed
}

func (b *Broker) declareConsumer(ctx context.Context, stream string, want jetstream.ConsumerConfig) error {
	c, err := b.js.Consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.js.CreateConsumer(ctx, stream, want)
		if errors.Is(err, jetstream.ErrConsumerExists) { // Another process was faster.
			c, err = b.js.Consumer(ctx, stream, want.Durable)
		}
	}
	if err != nil {
		return fmt.Errorf("consumer %s/%s: %w", stream, want.Durable, err)
	}
	have := c.CachedInfo().Config
	if have.AckWait == want.AckWait && have.MaxAckPending == want.MaxAckPending && len(have.BackOff) == 0 {
		return nil
	}
	// How long and how many is ours to say, and nothing gets lost by it.
	have.AckWait, have.MaxAckPending, have.BackOff = want.AckWait, want.MaxAckPending, nil
	if _, err := b.js.UpdateConsumer(ctx, stream, have); err != nil {
		return fmt.Errorf("bringing consumer %s/%s up to date: %w", stream, want.Durable, err)
	}
	return nil
}

// consumerMismatch looks at the settings under which a message would never be delivered or silently given up.
func consumerMismatch(stream string, have, want jetstream.ConsumerConfig) *MismatchError {
	filter := have.FilterSubject
	if len(have.FilterSubjects) > 0 {
		filter = fmt.Sprint(have.FilterSubjects)
	}
	paused := "none"
	if have.PauseUntil != nil && have.PauseUntil.After(time.Now()) {
		paused = have.PauseUntil.Format(time.RFC3339)
	}
	for _, f := range []struct {
		field, have, want string
	}{
		{"ack_policy", have.AckPolicy.String(), want.AckPolicy.String()},
		{"deliver_policy", have.DeliverPolicy.String(), want.DeliverPolicy.String()},
		{"deliver_subject", strconv.Quote(have.DeliverSubject), `""`},
		{"filter_subject", strconv.Quote(filter), `""`},
		{"max_deliver", strconv.Itoa(have.MaxDeliver), "-1"},
		{"headers_only", strconv.FormatBool(have.HeadersOnly), "false"},
		{"pause_until", paused, "none"},
	} {
		if f.have != f.want {
			return &MismatchError{Stream: stream, Consumer: want.Durable, Field: f.field, Have: f.have, Want: f.want}
		}
	}
	return nil
}
