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

	"pairsync/model"
)

// pull asks for more messages if there is room.
func (c *Consumer) pull() { c.puller.ask(c.cfg.Window, c.desk.held()) }

// receive takes everything that the server sends.
func (c *Consumer) receive(m *nats.Msg) {
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

func (c *Consumer) accept(m *nats.Msg) {
	pos, err := parsePosition(m.Reply)
	if err != nil {
		return // Not a delivery: somebody published to our inbox.
	}
	now := time.Now()
	if wait := headerTime(m.Header, headerNotBefore).Sub(now); wait > 0 {
		c.answer(m.Reply, nakAfter(wait))
		return
	}
	d := &delivery{msg: m, position: pos, reply: m.Reply, touched: now, failures: failures(m.Header)}
	if d.hint, d.broken = decodeHint(m.Data); d.broken == nil {
		d.key = groupKey(&d.hint)
	} else {
		d.key = "\x00" + strconv.FormatUint(pos.sequence, 10)
	}
	if !c.desk.put(d) {
		c.answer(m.Reply, nak())
		c.metrics.settled.WithLabelValues(verdictReturned.String()).Inc()
	}
}

// worker works on one group after another.
func (c *Consumer) worker(work context.Context, handle Handler) {
	for {
		l, group := c.desk.next()
		if l == nil {
			return
		}
		c.settleGroup(work, group, c.handle(work, handle, group))
		c.desk.finish(l)
		c.pull()
	}
}

func (c *Consumer) handle(work context.Context, handle Handler, group []*delivery) decision {
	if broken := group[0].broken; broken != nil {
		return decision{verdict: verdictDead, reason: ReasonMalformed, err: broken}
	}
	g := Group{Key: group[0].key, Hints: make([]model.Hint, len(group)), Attempt: c.desk.attempt(group)}
	for i, d := range group {
		g.Hints[i] = d.hint
		g.Failures = max(g.Failures, d.failures)
	}
	c.metrics.group.Observe(float64(len(group)))
	ctx, end := traced(work, group)
	defer end()
	return decide(handle(ctx, g), g.Failures, c.cfg, work.Err() != nil)
}

// traced returns a context under the span of the first message that was published under one. Where traces are taken, the
// handling gets a span of its own that is linked to all of the group's.
func traced(ctx context.Context, group []*delivery) (traced context.Context, end func()) {
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
	ctx, span := otel.Tracer("pairsync/internal/queue").Start(ctx, "handle hints",
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...))
	return ctx, func() { span.End() }
}

// settleGroup does what was decided. Whatever can't be done now leaves the messages where they are, to come again.
func (c *Consumer) settleGroup(work context.Context, group []*delivery, d decision) {
	var move func(ctx context.Context, m *delivery) error
	switch d.verdict {
	case verdictFailed:
		move = func(ctx context.Context, m *delivery) error { return c.again(ctx, m, d.after) }
	case verdictDead:
		attempts := c.desk.attempt(group)
		move = func(ctx context.Context, m *delivery) error { return c.bury(ctx, m, d, attempts) }
		c.cfg.Log.LogAttrs(work, slog.LevelError, "messages given up", slog.String("stream", StreamNotifications),
			slog.String("reason", d.reason), slog.Int("messages", len(group)), slog.Int("attempts", attempts))
	case verdictDone, verdictLater, verdictReturned:
		c.settle(group, d)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), answerTimeout)
	defer cancel()
	for i, m := range group {
		if err := move(ctx, m); err != nil {
			c.cfg.Log.LogAttrs(work, slog.LevelWarn, "message could not be moved", slog.String("stream", StreamNotifications),
				slog.String("verdict", d.verdict.String()), slog.Any("error", err))
			c.settle(group[i:], decision{verdict: verdictLater, after: c.cfg.RetryMin})
			return
		}
		// The marker last: the message leaves its place once it stands in the other.
		c.settle(group[i:i+1], d)
	}
}

// settle tells the server. Nothing waits for it to be heard: a message whose acknowledgement gets lost comes again.
func (c *Consumer) settle(group []*delivery, d decision) {
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

func (c *Consumer) answer(reply string, word []byte) { _ = c.b.nc.Publish(reply, word) }

func nak() []byte { return []byte("-NAK") }

func nakAfter(d time.Duration) []byte { return fmt.Appendf(nil, `-NAK {"delay":%d}`, d.Nanoseconds()) }

// again publishes the message anew with one more failure in its headers. The count then holds across restarts and between
// processes, which a count in memory wouldn't, and the server's own count of deliveries can't serve: it also counts later as
// told. What the message moves back in the line is no loss, since it has to wait anyway.
func (c *Consumer) again(ctx context.Context, d *delivery, after time.Duration) error {
	m := nats.NewMsg(d.msg.Subject)
	m.Data = d.msg.Data
	copyTrace(m.Header, d.msg.Header)
	m.Header[headerFailures] = []string{strconv.Itoa(d.failures + 1)}
	m.Header[headerNotBefore] = []string{time.Now().Add(after).UTC().Format(time.RFC3339Nano)}
	m.Header[headerFirstReceived] = []string{firstReceived(d).Format(time.RFC3339Nano)}
	m.Header[nats.MsgIdHdr] = []string{fmt.Sprintf("again-%d-%d", d.position.sequence, d.failures+1)}
	if _, err := c.b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamNotifications)); err != nil {
		return fmt.Errorf("putting a message back: %w", err)
	}
	return nil
}

// firstReceived is when the message first entered a stream.
func firstReceived(d *delivery) time.Time {
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
