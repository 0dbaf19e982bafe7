package queue_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func (b *bench) command(at time.Time, commands ...model.Command) {
	b.tb.Helper()
	for _, c := range commands {
		if err := b.b.PublishCommand(b.tb.Context(), c, at); err != nil {
			b.tb.Fatal(err)
		}
	}
}

// TestCommandsOfASessionComeTogether holds the only worker at the first group until everything else has arrived.
func TestCommandsOfASessionComeTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	var mu sync.Mutex
	var seen [][]model.Command
	begun, gate, all := make(chan struct{}), make(chan struct{}), make(chan struct{})
	now := time.Now()
	b.command(now, model.Command{Tenant: "t-1", Session: "gate", Version: 1})
	c := b.b.NewCommandConsumer(queue.ConsumerConfig{Concurrency: 1})
	testbed.Run(t, "the consumer", func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, g queue.CommandGroup) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, g.Commands)
			switch len(seen) {
			case 1:
				close(begun)
				<-gate
			case 3:
				close(all)
			}
			return nil
		})
	})
	testbed.Receive(t, "the first command", begun)
	one, odd := model.Command{Tenant: "t-1", Session: "s.1 *", Version: 1}, model.Command{Tenant: "t-2", Session: "s.1 *", Version: 7}
	again := one
	again.Version = 2
	b.command(now, one, one, odd) // The same claim twice is one message.
	b.command(now.Add(time.Second), one, again)
	testbed.Eventually(t, "all of them to be in hand", func(context.Context) bool { return c.Held() == 5 })
	close(gate)
	testbed.Receive(t, "the last group", all)
	mu.Lock()
	defer mu.Unlock()
	want := [][]model.Command{{{Tenant: "t-1", Session: "gate", Version: 1}}, {one, one, again}, {odd}}
	slices.SortFunc(seen[1:], func(x, y []model.Command) int { return len(y) - len(x) })
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestCommandsCarryTheTrace(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	if err := b.b.PublishCommand(trace.ContextWithSpanContext(t.Context(), span), model.Command{Tenant: "t", Session: "s", Version: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	got := make(chan trace.SpanContext, 1)
	c := b.b.NewCommandConsumer(queue.ConsumerConfig{})
	testbed.Run(t, "the consumer", func(ctx context.Context) error {
		return c.Run(ctx, func(ctx context.Context, _ queue.CommandGroup) error {
			got <- trace.SpanContextFromContext(ctx)
			return nil
		})
	})
	if sc := testbed.Receive(t, "the command", got); sc.TraceID() != span.TraceID() {
		t.Errorf("trace %v, want %v", sc.TraceID(), span.TraceID())
	}
}

// TestCommandsThatDie go to the dead letters from their own stream, and come back to it.
func TestCommandsThatDie(t *testing.T) {
	t.Parallel()
	b := newBench(t, queue.Config{})
	want := model.Command{Tenant: "t", Session: "s", Version: 3}
	b.command(time.Now(), want)
	handled := make(chan queue.CommandGroup, 1)
	var mu sync.Mutex
	heal := false
	c := b.b.NewCommandConsumer(queue.ConsumerConfig{})
	testbed.Run(t, "the consumer", func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, g queue.CommandGroup) error {
			mu.Lock()
			defer mu.Unlock()
			if !heal {
				return queue.Drop("invalid_request", errors.New("no"))
			}
			handled <- g
			return nil
		})
	})
	var dead []queue.DeadLetter
	testbed.Eventually(t, "the dead letter", func(ctx context.Context) bool {
		var err error
		dead, err = b.b.DeadLetters(ctx, 0, 10)
		return err == nil && len(dead) == 1
	})
	if dead[0].Origin != queue.StreamCommands || dead[0].Subject != "pairsync.commands.t.s" || dead[0].Reason != "invalid_request" {
		t.Errorf("dead letter %+v", dead[0])
	}
	mu.Lock()
	heal = true
	mu.Unlock()
	if err := b.b.Replay(t.Context(), dead[0].Sequence); err != nil {
		t.Fatal(err)
	}
	if g := testbed.Receive(t, "the replayed command", handled); !slices.Equal(g.Commands, []model.Command{want}) {
		t.Errorf("commands %+v", g.Commands)
	}
}
