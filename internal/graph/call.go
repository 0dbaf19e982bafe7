package graph

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// maxAnswer bounds an answer in memory. A batch of twenty events with 500 attendees each is some 4 MB.
const maxAnswer = 32 << 20

// prefer goes with every call: ids that survive a move between folders, and times in UTC.
const prefer = `IdType="ImmutableId", outlook.timezone="UTC"`

// call is one request to Graph and what to do with its answer.
type call struct {
	op     operation
	tenant string
	lane   lane
	// build makes the request without its token, anew for each try.
	build func(ctx context.Context) (*http.Request, error)
	// read makes sense of a 2xx body, which it must not keep. Nil ignores it.
	read func(body []byte) error
}

// do waits for a turn, makes the call, and gives an *Error for everything but a 2xx that could be read.
func (c *Client) do(ctx context.Context, cl call) error {
	leave, err := c.gate.enter(ctx, cl.op, cl.lane)
	if err != nil {
		return err
	}
	defer leave()
	_, err = c.send(ctx, cl)
	return err
}

// send makes the call at once. A 401 is answered with one more try under a new token: the old one may have lapsed or been
// revoked between two checks of ours. token is the one that was used last.
func (c *Client) send(ctx context.Context, cl call) (token string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if trace.SpanContextFromContext(ctx).IsSampled() {
		var span trace.Span
		ctx, span = c.tracer.Start(ctx, "graph "+string(cl.op), trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
	}
	if token, err = c.authorize(ctx, cl, ""); err != nil {
		return "", err
	}
	err = c.try(ctx, cl, token)
	refused, ok := errors.AsType[*Error](err)
	if !ok || refused.Status != http.StatusUnauthorized || refused.Kind == KindUnavailable {
		return token, err
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "graph refused a token, getting a new one",
		slog.String("operation", string(cl.op)), slog.String("request_id", refused.RequestID))
	if token, err = c.authorize(ctx, cl, token); err != nil {
		return "", err
	}
	return token, c.try(ctx, cl, token)
}

// try sends the call once.
func (c *Client) try(ctx context.Context, cl call, token string) error {
	req, err := cl.build(ctx)
	if err != nil {
		return &Error{Kind: KindInvalid, Reason: ReasonInvalidRequest, Operation: string(cl.op), cause: err}
	}
	req.Header["Authorization"] = []string{"Bearer " + token}
	req.Header["Prefer"] = c.sendWith.prefer
	req.Header["User-Agent"] = c.sendWith.userAgent
	started := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.metrics.answered(cl.op, 0, time.Since(started))
		return c.unanswered(ctx, cl.op, err)
	}
	body := c.buffers.get()
	defer c.buffers.put(body)
	_, err = body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	closeErr := resp.Body.Close()
	took := time.Since(started)
	if err == nil {
		err = closeErr
	}
	if err != nil {
		c.metrics.answered(cl.op, 0, took)
		return c.unanswered(ctx, cl.op, err)
	}
	c.metrics.answered(cl.op, resp.StatusCode, took)
	c.annotate(ctx, resp)
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		failure := classify(cl.op, resp.StatusCode, resp.Header, body.Bytes(), time.Now())
		c.metrics.refused(cl.op, failure.Kind)
		c.gate.pause(cl.lane, failure.RetryAfter)
		return failure
	}
	if cl.read == nil {
		return nil
	}
	if body.Len() > maxAnswer {
		err = errors.New("the answer is too long")
	} else {
		err = cl.read(body.Bytes())
	}
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return &Error{
		Kind: KindInvalid, Reason: ReasonUnreadableAnswer, Status: resp.StatusCode, RequestID: printable(resp.Header.Get("request-id")),
		Operation: string(cl.op), cause: err,
	}
}

// unanswered classifies a call that brought no answer.
func (c *Client) unanswered(ctx context.Context, op operation, err error) *Error {
	e := &Error{Kind: KindUnavailable, Reason: ReasonNetwork, Operation: string(op)}
	if ctx.Err() != nil {
		e.Reason, e.cause = endReason(ctx), ctx.Err()
		return e
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		e.Reason = ReasonTimeout
	}
	// The cause is not kept: net/http puts the whole URL, and so ids, into its text.
	return e
}

func (c *Client) annotate(ctx context.Context, resp *http.Response) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.Int("http.response.status_code", resp.StatusCode),
		attribute.String("graph.request_id", printable(resp.Header.Get("request-id"))),
	)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bufferPool reuses the memory that answers are read into.
type bufferPool struct{ pool *sync.Pool }

func (p bufferPool) get() *bytes.Buffer { return p.pool.Get().(*bytes.Buffer) }

// put keeps buffers of ordinary size only: one giant answer must not stay for ever.
func (p bufferPool) put(b *bytes.Buffer) {
	if b.Cap() <= 256<<10 {
		b.Reset()
		p.pool.Put(b)
	}
}
