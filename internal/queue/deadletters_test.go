package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/model"
)

const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

// TestThereAndBack sends one hint to the dead letters and replays it.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	want := hint("A", 7)
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	m := &nats.Msg{Subject: "pairsync.notifications.t-1.m-1", Data: body, Header: nats.Header{"traceparent": {traceParent}}}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ü", 2000)
	stop := b.run(queue.ConsumerConfig{}, func(context.Context, queue.Group) error {
		return queue.Drop("unreadable", errors.New("a bug\r\n: "+long))
	})
	dead := b.deadLetters(1)[0]
	stop()
	b.empty()
	if dead.Reason != "unreadable" || dead.Attempts != 1 || len(dead.Error) > 1010 || !strings.HasPrefix(dead.Error, "given up (unreadable): a bug : üü") {
		t.Errorf("the dead letter is %+v", dead)
	}

	if err := b.b.Replay(t.Context(), dead.Sequence); err != nil {
		t.Fatal(err)
	}
	b.deadLetters(0)
	type handled struct {
		group queue.Group
		trace string
	}
	replayed := make(chan handled, 1)
	b.run(queue.ConsumerConfig{}, func(ctx context.Context, g queue.Group) error {
		replayed <- handled{g, trace.SpanContextFromContext(ctx).TraceID().String()}
		return nil
	})
	got := testbed.Receive(t, "the replayed hint", replayed)
	if diff := cmp.Diff([]model.Hint{want}, got.group.Hints); diff != "" || got.group.Attempt != 1 || got.group.Failures != 0 {
		t.Errorf("attempt %d with %d failures of (-want +got):\n%s", got.group.Attempt, got.group.Failures, diff)
	}
	if got.trace != strings.Split(traceParent, "-")[1] {
		t.Errorf("it is handled under trace %s", got.trace)
	}
	b.empty()
	if err := b.b.Replay(t.Context(), dead.Sequence); !errors.Is(err, queue.ErrNoDeadLetter) {
		t.Errorf("replayed twice: %v", err)
	}
	if err := b.b.Discard(t.Context(), dead.Sequence); !errors.Is(err, queue.ErrNoDeadLetter) {
		t.Errorf("discarded after the replay: %v", err)
	}
}

func TestMalformedMessagesAreDeadLetters(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	bad := []string{"", "nonsense", `{"tenant":"t","mailbox":"m"}`, `{"tenant":"t","mailbox":"m","event":"e","lifecycle":"missed"}`, `{"event":"e"}`, `[]`}
	for _, body := range bad {
		b.raw("pairsync.notifications.t.m", []byte(body))
	}
	b.publish(hint("good", 0))
	handled := make(chan queue.Group, 10)
	b.run(queue.ConsumerConfig{}, func(_ context.Context, g queue.Group) error {
		handled <- g
		return nil
	})
	if g := testbed.Receive(t, "the good hint", handled); g.Hints[0].EventID != "good" {
		t.Errorf("handled %+v", g)
	}
	b.empty()
	got := make(map[string]bool)
	for _, d := range b.deadLetters(len(bad)) {
		got[string(d.Data)] = true
		if d.Reason != queue.ReasonMalformed || d.Error == "" {
			t.Errorf("%q is dead for %q: %s", d.Data, d.Reason, d.Error)
		}
	}
	for _, body := range bad {
		if !got[body] {
			t.Errorf("%q isn't among the dead letters", body)
		}
	}
}

func TestDeadLettersInBulk(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	const letters = 250
	for n := range letters {
		b.raw("pairsync.notifications.t.m", fmt.Appendf(nil, "bad %d", n))
	}
	stop := b.run(queue.ConsumerConfig{}, func(context.Context, queue.Group) error { return nil })
	all := b.deadLetters(letters)
	stop()
	if page, err := b.b.DeadLetters(t.Context(), all[9].Sequence, 5); err != nil || !cmp.Equal(page, all[10:15]) {
		t.Errorf("the third page of five is %+v, %v", page, err)
	}
	if n, err := b.b.ReplayAll(t.Context()); err != nil || n != letters {
		t.Fatalf("%d replayed, %v", n, err)
	}
	b.deadLetters(0)
	stop = b.run(queue.ConsumerConfig{}, func(context.Context, queue.Group) error { return nil })
	b.deadLetters(letters) // They are still no better.
	stop()
	if err := b.b.Discard(t.Context(), b.deadLetters(letters)[3].Sequence); err != nil {
		t.Error(err)
	}
	if n, err := b.b.DiscardAll(t.Context()); err != nil || n != letters-1 {
		t.Errorf("%d discarded, %v", n, err)
	}
	b.deadLetters(0)
	b.empty()
}
