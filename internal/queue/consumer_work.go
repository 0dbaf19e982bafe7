package queue

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// pull asks for more messages if there is room.
func (c *consumer[T]) pull() { c.puller.ask(c.cfg.Window, c.desk.held()) }

// receive takes everything that the server sends.
func (c *consumer[T]) receive(m *nats.Msg) {
	if code := first(m.Header, "Status"); code != "" && len(m.Data) == 0 {
		c.puller.status(code, m)
		if code == "408" {
			c.pull()
		}
		return
	}
	c.puller.arrived()
	c.accept(m)
	c.pull()
}

func (c *consumer[T]) accept(m *nats.Msg) {
	pos, err := parsePosition(m.Reply)
	if err != nil {
		return // Not a delivery: somebody published to our inbox.
	}
	now := time.Now()
	if wait := headerTime(m.Header, headerNotBefore).Sub(now); wait > 0 {
		c.answer(m.Reply, nakAfter(wait))
		return
	}
	d := &delivery[T]{msg: m, position: pos, reply: m.Reply, touched: now, failures: failures(m.Header)}
	if d.item, d.broken = c.route.decode(m.Data); d.broken == nil {
		d.key = c.route.key(&d.item)
	} else {
		d.key = "\x00" + strconv.FormatUint(pos.sequence, 10)
	}
	if !c.desk.put(d) {
		c.answer(m.Reply, nak())
		c.metrics.settled.WithLabelValues(verdictReturned.String()).Inc()
	}
}

// worker works on one group after another.
func (c *consumer[T]) worker(work context.Context, handle func(context.Context, group[T]) error) {
	for {
		l, messages := c.desk.next()
		if l == nil {
			return
		}
		c.settleGroup(work, messages, c.handle(work, handle, messages))
		c.desk.finish(l)
		c.pull()
	}
}

func (c *consumer[T]) handle(work context.Context, handle func(context.Context, group[T]) error, messages []*delivery[T]) decision {
	if broken := messages[0].broken; broken != nil {
		return decision{verdict: verdictDead, reason: ReasonMalformed, err: broken}
	}
	g := group[T]{key: messages[0].key, items: make([]T, len(messages)), attempt: c.desk.attempt(messages)}
	for i, d := range messages {
		g.items[i] = d.item
		g.failures = max(g.failures, d.failures)
	}
	c.metrics.group.Observe(float64(len(messages)))
	ctx, end := traced(work, messages, c.route.span)
	defer end()
	return decide(handle(ctx, g), g.failures, c.cfg, work.Err() != nil)
}

// traced returns a context under the span of the first message that was published under one. Where traces are taken, the
// handling gets a span of its own that is linked to all of the group's.
func traced[T any](ctx context.Context, group []*delivery[T], name string) (traced context.Context, end func()) {
	var parent trace.SpanContext
	var links []trace.Link
	for _, d := range group {
		sc := extract(ctx, d.msg.Header)
		switch {
		case !sc.IsValid():
		case !parent.IsValid():
			parent = sc
		default:
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	if !parent.IsValid() {
		return ctx, func() {}
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	if !parent.IsSampled() {
		return ctx, func() {}
	}
	ctx, span := otel.Tracer("pairsync/internal/queue").Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...))
	return ctx, func() { span.End() }
}

// settleGroup does what was decided. Whatever can't be done now leaves the messages where they are, to come again.
func (c *consumer[T]) settleGroup(work context.Context, group []*delivery[T], d decision) {
	var move func(ctx context.Context, m *delivery[T]) error
	switch d.verdict {
	case verdictFailed:
		move = func(ctx context.Context, m *delivery[T]) error { return c.again(ctx, m, d.after) }
	case verdictDead:
		attempts := c.desk.attempt(group)
		move = func(ctx context.Context, m *delivery[T]) error { return c.bury(ctx, m, d, attempts) }
		c.cfg.Log.LogAttrs(work, slog.LevelError, "messages given up", slog.String("stream", c.route.stream),
			slog.String("reason", d.reason), slog.Int("messages", len(group)), slog.Int("attempts", attempts))
	case verdictDone, verdictLater, verdictReturned:
		c.settle(group, d)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), answerTimeout)
	defer cancel()
	for i, m := range group {
		if err := move(ctx, m); err != nil {
			c.cfg.Log.LogAttrs(work, slog.LevelWarn, "message could not be moved", slog.String("stream", c.route.stream),
				slog.String("verdict", d.verdict.String()), slog.Any("error", err))
			c.settle(group[i:], decision{verdict: verdictLater, after: c.cfg.RetryMin})
			return
		}
		// The marker last: the message leaves its place once it stands in the other.
		c.settle(group[i:i+1], d)
	}
}

// settle tells the server. Nothing waits for it to be heard: a message whose acknowledgement gets lost comes again.
func (c *consumer[T]) settle(group []*delivery[T], d decision) {
	var word []byte
	switch d.verdict {
	case verdictDone, verdictFailed, verdictDead:
		word = []byte("+ACK")
	case verdictLater:
		word = nakAfter(d.after)
	case verdictReturned:
		word = nak()
	}
	for _, reply := range c.desk.forget(group) {
		c.answer(reply, word)
	}
	c.metrics.settled.WithLabelValues(d.verdict.String()).Add(float64(len(group)))
}

func (c *consumer[T]) answer(reply string, word []byte) { _ = c.b.nc.Publish(reply, word) }

func nak() []byte { return []byte("-NAK") }

func nakAfter(d time.Duration) []byte { return fmt.Appendf(nil, `-NAK {"delay":%d}`, d.Nanoseconds()) }

// again publishes the message anew with one more failure in its headers. The count then holds across restarts and between
// processes, which a count in memory wouldn't, and the server's own count of deliveries can't serve: it also counts later as
// told. What the message moves back in the line is no loss, since it has to wait anyway.
func (c *consumer[T]) again(ctx context.Context, d *delivery[T], after time.Duration) error {
	m := nats.NewMsg(d.msg.Subject)
	m.Data = d.msg.Data
	copyTrace(m.Header, d.msg.Header)
	m.Header[headerFailures] = []string{strconv.Itoa(d.failures + 1)}
	m.Header[headerNotBefore] = []string{time.Now().Add(after).UTC().Format(time.RFC3339Nano)}
	m.Header[headerFirstReceived] = []string{firstReceived(d).Format(time.RFC3339Nano)}
	m.Header[nats.MsgIdHdr] = []string{fmt.Sprintf("again-%d-%d", d.position.sequence, d.failures+1)}
	if _, err := c.b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(c.route.stream)); err != nil {
		return fmt.Errorf("putting a message back: %w", err)
	}
	return nil
}

// firstReceived is when the message first entered a stream.
func firstReceived[T any](d *delivery[T]) time.Time {
	if t := headerTime(d.msg.Header, headerFirstReceived); !t.IsZero() {
		return t.UTC()
	}
	return d.position.stored
}

func copyTrace(to, from nats.Header) {
	for _, name := range []string{"traceparent", "tracestate"} {
		if v := first(from, name); v != "" {
			to[name] = []string{v}
		}
	}
}
