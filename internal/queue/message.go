package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"pairsync/model"
)

// Headers of ours, beside those of NATS and of W3C trace context.
const (
	headerContentType = "Content-Type"
	// headerFailures counts how often handling a message failed; later as told is no failure.
	headerFailures = "Pairsync-Failures"
	// headerNotBefore is the time of the next try after a failure, RFC 3339.
	headerNotBefore = "Pairsync-Not-Before"
	// headerFirstReceived is when the message first entered a stream, RFC 3339; absent on messages that never moved.
	headerFirstReceived = "Pairsync-First-Received"
)

var (
	errNoHint    = errors.New("neither an event nor a lifecycle event is named")
	errNoAddress = errors.New("no tenant or mailbox is named")
)

// decodeHint reads what a Publisher wrote.
func decodeHint(data []byte) (model.Hint, error) {
	var h model.Hint
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("reading a hint: %w", err)
	}
	switch {
	case h.Tenant == "" || h.Mailbox == "":
		return h, errNoAddress
	case (h.EventID == "") == (h.Lifecycle == ""):
		return h, errNoHint
	}
	return h, nil
}

// groupKey is what hints must share to be about the same thing.
func groupKey(h *model.Hint) string {
	if h.Lifecycle != "" {
		return "lifecycle\x00" + h.SubscriptionID + "\x00" + string(h.Lifecycle)
	}
	return h.Tenant + "\x00" + h.Mailbox + "\x00" + h.EventID
}

// position is what the reply subject of a delivered message tells.
type position struct {
	sequence  uint64
	delivered int
	stored    time.Time
}

// parsePosition reads $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.<pending>, or the
// longer form with domain and account after ACK.
// https://docs.nats.io/reference/reference-protocols/nats_api_reference
func parsePosition(reply string) (position, error) {
	const prefix, short, long = "$JS.ACK.", 9, 11
	n := strings.Count(reply, ".") + 1
	if !strings.HasPrefix(reply, prefix) || n < short || n > short && n < long {
		return position{}, errors.New("no acknowledgement subject")
	}
	skip := 4
	if n >= long {
		skip = 6
	}
	rest := reply
	for range skip {
		_, rest, _ = strings.Cut(rest, ".")
	}
	var numbers [4]int64
	for i := range numbers {
		var field string
		field, rest, _ = strings.Cut(rest, ".")
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return position{}, fmt.Errorf("reading an acknowledgement subject: %w", err)
		}
		numbers[i] = v
	}
	return position{
		delivered: int(numbers[0]), sequence: uint64(numbers[1]), //nolint:gosec // The server's own numbers.
		stored: time.Unix(0, numbers[3]).UTC(),
	}, nil
}

// failures is how often handling the message has failed so far.
func failures(h nats.Header) int {
	v := first(h, headerFailures)
	if v == "" {
		return 0 // Nearly always; an error would cost more than all the rest here.
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// headerTime reads a time from a header; zero when there is none.
func headerTime(h nats.Header, name string) time.Time {
	v := first(h, name)
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		return time.Time{}
	}
	return t
}

// first is Header.Get without its allocation for absent headers; names are compared exactly.
func first(h nats.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// carrier lets OpenTelemetry read and write a message's headers. NATS headers are case-sensitive, and W3C's are lower case.
type carrier nats.Header

// Get reads the header, which other clients may have written in Go's canonical form.
func (c carrier) Get(key string) string {
	if v := first(nats.Header(c), key); v != "" || len(c) == 0 {
		return v
	}
	return first(nats.Header(c), strings.ToUpper(key[:1])+key[1:])
}

// Set writes the header.
func (c carrier) Set(key, value string) { c[key] = []string{value} }

// Keys lists the headers.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}

// inject writes the span of ctx into the headers.
func inject(ctx context.Context, h nats.Header) { propagation.TraceContext{}.Inject(ctx, carrier(h)) }

// extract reads the span that a message was published under; not valid when there is none.
func extract(ctx context.Context, h nats.Header) trace.SpanContext {
	if len(h) == 0 {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), carrier(h)))
}
