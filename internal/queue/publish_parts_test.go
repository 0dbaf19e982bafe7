package queue

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"pairsync/model"
)

func TestHintMessageRoundTrips(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.FixedZone("", 5*3600))
	for name, h := range map[string]model.Hint{
		"change": {
			Tenant: "t", Mailbox: "m", SubscriptionID: "s", ChangeType: model.ChangeUpdated, EventID: "AA-_=",
			ChangeKey: "k/+", ReceivedAt: at,
		},
		"lifecycle":  {Tenant: "t", Mailbox: "m", SubscriptionID: "s", Lifecycle: model.LifecycleMissed, ReceivedAt: at},
		"odd texts":  {Tenant: `q"\`, Mailbox: "\u2028\x01\n", EventID: "<&>é😀", ReceivedAt: time.Unix(0, 0)},
		"whole time": {Tenant: "t", Mailbox: "m", EventID: "e", ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	} {
		var got model.Hint
		if err := json.Unmarshal(appendHint(nil, &h), &got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(h, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func FuzzHintMessage(f *testing.F) {
	f.Add("t", "m", "s", "updated", "e", "k")
	f.Add("\"", "\\", "\x00", "\xff", "é", "<>&")
	f.Fuzz(func(t *testing.T, tenant, mailbox, subscription, kind, event, key string) {
		h := model.Hint{
			Tenant: tenant, Mailbox: mailbox, SubscriptionID: subscription, ChangeType: model.ChangeType(kind),
			EventID: event, ChangeKey: key, ReceivedAt: time.Unix(1, 2).UTC(),
		}
		std, err := json.Marshal(h)
		if err != nil {
			t.Skip()
		}
		var got, want model.Hint
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(appendHint(nil, &h), &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%+v, encoding/json has %+v", got, want)
		}
	})
}

func TestHintKeyIsTheVersion(t *testing.T) {
	t.Parallel()
	base := model.Hint{Tenant: "t", Mailbox: "m", SubscriptionID: "s", ChangeType: model.ChangeUpdated, EventID: "e", ChangeKey: "k"}
	key, ok := hintKey(&base)
	if !ok {
		t.Fatal("no key")
	}
	later := base
	later.ReceivedAt = time.Now()
	if again, _ := hintKey(&later); again != key {
		t.Error("the time of receipt is in the key")
	}
	for name, edit := range map[string]func(*model.Hint){
		"subscription": func(h *model.Hint) { h.SubscriptionID = "s2" },
		"change type":  func(h *model.Hint) { h.ChangeType = model.ChangeDeleted },
		"event":        func(h *model.Hint) { h.EventID = "E" },
		"change key":   func(h *model.Hint) { h.ChangeKey = "k2" },
		"tenant":       func(h *model.Hint) { h.Tenant = "t2" },
		"boundary":     func(h *model.Hint) { h.SubscriptionID, h.ChangeType = "supd", "ated" },
	} {
		h := base
		edit(&h)
		if other, _ := hintKey(&h); other == key {
			t.Errorf("%s is not in the key", name)
		}
	}
	for name, h := range map[string]model.Hint{
		"no change key": {Tenant: "t", Mailbox: "m", SubscriptionID: "s", ChangeType: "updated", EventID: "e"},
		"lifecycle":     {Tenant: "t", Mailbox: "m", SubscriptionID: "s", Lifecycle: "missed"},
	} {
		if _, ok := hintKey(&h); ok {
			t.Errorf("%s: has a key", name)
		}
	}
}

func TestHintMessageHeaders(t *testing.T) {
	t.Parallel()
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "post")
	defer span.End()
	trace := nats.Header{}
	inject(ctx, trace)
	h := model.Hint{Tenant: "a.b", Mailbox: "m", EventID: "e\r\nX: y", ChangeKey: "k"}
	key, keyed := hintKey(&h)
	one, other := hintMessage(&h, key, keyed, trace), hintMessage(&h, messageKey{}, false, trace)
	if want := "00-" + span.SpanContext().TraceID().String() + "-" + span.SpanContext().SpanID().String() + "-01"; one.Header["traceparent"][0] != want {
		t.Errorf("traceparent %q, want %q", one.Header["traceparent"], want)
	}
	id := one.Header[headerMsgID]
	if len(id) != 1 || len(id[0]) != 22 || strings.Trim(id[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("message id %q", id)
	}
	if _, ok := other.Header[headerMsgID]; ok {
		t.Error("a hint without a change key got a message id")
	}
	one.Header["x"] = nil
	if len(trace) != 1 || len(other.Header) != 1 {
		t.Error("messages share their headers")
	}
	if one.Subject != "pairsync.notifications."+token("a.b")+".m" {
		t.Errorf("subject %q", one.Subject)
	}
}

func TestRecentRemembers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := newRecent(2, time.Minute)
	key := func(n byte) messageKey { return messageKey{n} }
	enter := func(n byte, index int) standing { return r.enter(key(n), waiter{index: index}, now) }
	expect := func(what string, got, want standing) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	expect("first", enter(1, 0), standingNew)
	expect("on its way", enter(1, 1), standingJoined)
	expect("on its way, again", enter(1, 2), standingJoined)
	if joined := r.settle(key(1), true, now); len(joined) != 2 || joined[0].index != 1 || joined[1].index != 2 {
		t.Errorf("joined %v", joined)
	}
	expect("stored", enter(1, 3), standingStored)

	expect("lost", enter(2, 0), standingNew)
	r.settle(key(2), false, now)
	expect("after it was lost", enter(2, 0), standingNew)
	r.settle(key(2), true, now)

	// The generation of two is full: a third message begins another one, and 1 and 2 are of the older.
	expect("a third", enter(3, 0), standingNew)
	r.settle(key(3), true, now)
	expect("of the older generation", enter(1, 0), standingStored)
	expect("a fourth", enter(4, 0), standingNew)
	r.settle(key(4), true, now)
	expect("a fifth", enter(5, 0), standingNew)
	r.settle(key(5), true, now)
	expect("forgotten for want of room", enter(1, 0), standingNew)
	r.settle(key(1), false, now)

	now = now.Add(31 * time.Second)
	expect("half the time on", enter(5, 0), standingStored)
	now = now.Add(31 * time.Second)
	expect("all of it", enter(5, 0), standingNew)
}

func TestRecentForgetsAfterALongSilence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := newRecent(100, time.Minute)
	r.enter(messageKey{1}, waiter{}, now)
	r.settle(messageKey{1}, true, now)
	if got := r.enter(messageKey{1}, waiter{}, now.Add(time.Hour)); got != standingNew {
		t.Errorf("standing %d after an hour", got)
	}
}

func TestPaceChooses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		gap, batch time.Duration // what a message and a batch of 32 cost
		open       int
		want       pacePlan
	}{
		"idle":                        {time.Millisecond, time.Millisecond, 1, planSingles},
		"no sync, many":               {12 * time.Microsecond, 3 * time.Millisecond, 64, planSingles},
		"no sync, very many":          {12 * time.Microsecond, 6 * time.Millisecond, 1280, planSingles},
		"quick sync, few":             {80 * time.Microsecond, 3 * time.Millisecond, 16, planSingles},
		"quick sync, very many":       {80 * time.Microsecond, 3 * time.Millisecond, 1280, planBatch},
		"sync, many":                  {350 * time.Microsecond, 12 * time.Millisecond, 64, planBatch},
		"slow sync, few":              {8 * time.Millisecond, 60 * time.Millisecond, 16, planBatch},
		"sync, but batches are worse": {350 * time.Microsecond, 80 * time.Millisecond, 64, planSingles},
	} {
		var p pace
		if got := p.plan(paceFloor, now); got != planMeasure {
			t.Fatalf("%s: first plan %d, want a measurement", name, got)
		}
		p.singles(100, 100*tt.gap)
		for range 50 {
			p.batch(32, 64, tt.batch)
		}
		if got := p.plan(tt.open, now); got != tt.want {
			t.Errorf("%s: plan %d, want %d", name, got, tt.want)
		}
	}
}

func TestPaceMeasuresNowAndThen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var p pace
	for range paceFirst {
		now = now.Add(2 * watchEvery)
		if got := p.plan(100, now); got != planMeasure {
			t.Errorf("at first: plan %d", got)
		}
		p.singles(1000, 12*time.Millisecond)
	}
	for _, step := range []struct {
		what        string
		open        int
		after, next time.Duration
	}{
		{"a clear case", 10, paceDoubt, paceAge},
		{"a case of doubt", 800, paceDoubt - time.Second, paceDoubt},
	} {
		now = now.Add(time.Minute)
		if got := p.plan(step.open, now); got != planMeasure {
			t.Errorf("%s, after a minute: plan %d", step.what, got)
		}
		if got := p.plan(step.open, now.Add(step.after)); got == planMeasure {
			t.Errorf("%s: measured again after %v", step.what, step.after)
		}
		if got := p.plan(step.open, now.Add(step.next+time.Second)); got != planMeasure {
			t.Errorf("%s: plan %d after %v", step.what, got, step.next)
		}
	}
	// One batch that took a second must not banish batches for good.
	p.singles(100, 35*time.Millisecond)
	p.batch(32, 64, time.Second)
	if p.fixed > 2*paceBatch {
		t.Errorf("fixed cost %v after one slow batch", p.fixed)
	}
	for range 10 {
		p.singles(100, 35*time.Millisecond)
	}
	if got := p.plan(200, now.Add(2*watchEvery)); got != planBatch {
		t.Errorf("later: plan %d", got)
	}
}

func TestAcksRead(t *testing.T) {
	t.Parallel()
	a := newAcks(&nats.Conn{}, "S", 1)
	refused := func(code int) func(error) bool {
		return func(err error) bool {
			var e *ackError
			return errors.As(err, &e) && e.ErrCode == code && strings.Contains(e.Error(), "why")
		}
	}
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	for name, tt := range map[string]struct {
		msg *nats.Msg
		ok  func(error) bool
	}{
		"stored":        {&nats.Msg{Data: []byte(`{"stream":"S","seq":7}`)}, is(nil)},
		"refused":       {&nats.Msg{Data: []byte(`{"error":{"code":503,"err_code":10077,"description":"why"},"stream":"S","seq":0}`)}, refused(10077)},
		"other stream":  {&nats.Msg{Data: []byte(`{"stream":"T","seq":7}`)}, is(errForeignStream)},
		"no responders": {&nats.Msg{Header: nats.Header{"Status": {"503"}}}, is(errNoStream)},
		"garbage":       {&nats.Msg{Data: []byte(`{"stream`)}, func(err error) bool { return err != nil }},
		"nothing":       {&nats.Msg{}, func(err error) bool { return err != nil }},
	} {
		if got := a.read(tt.msg); !tt.ok(got.err) {
			t.Errorf("%s: error %v", name, got.err)
		}
	}
	if got := a.read(&nats.Msg{Data: []byte(`{"stream":"S","seq":7,"duplicate":true}`)}); !got.Duplicate {
		t.Error("a duplicate was not seen")
	}
	if got := a.read(&nats.Msg{Data: []byte(`{"stream":"S","seq":9,"batch":"b","count":3}`)}); got.Batch != "b" || got.Count != 3 {
		t.Errorf("batch %q of %d", got.Batch, got.Count)
	}
}

func TestPublishNeedsAConnection(t *testing.T) {
	t.Parallel()
	p := NewPublisher(&nats.Conn{}, nil, PublisherConfig{})
	got, err := p.Publish(context.WithoutCancel(t.Context()), make([]model.Hint, 2))
	if !errors.Is(err, errDisconnected) || len(got) != 2 || got[0] != model.Unconfirmed {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPaceIsNotFooledByOneMeasurement(t *testing.T) {
	t.Parallel()
	var p pace
	for range 3 {
		p.singles(300, 105*time.Millisecond)
	}
	p.singles(3, time.Second) // too few to count
	if p.gap != 350*time.Microsecond {
		t.Errorf("gap %v", p.gap)
	}
	p.singles(300, 30*time.Millisecond)
	if p.gap < 200*time.Microsecond {
		t.Errorf("gap %v after one quick measurement", p.gap)
	}
	for range 10 {
		p.flow(100, 250*time.Millisecond)
	}
	if p.gap < 2400*time.Microsecond {
		t.Errorf("gap %v where 100 messages take 250 ms", p.gap)
	}
	p.flow(0, 250*time.Millisecond)
	for range 20 {
		p.flow(10_000, 250*time.Millisecond)
	}
	if p.gap > 30*time.Microsecond {
		t.Errorf("gap %v where 10,000 messages take 250 ms", p.gap)
	}
}

func TestPaceLimitsWhatAMeasurementSends(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answered int
		took     time.Duration
		want     int
	}{
		{0, 0, 64},
		{15, time.Second, 64},
		{100, time.Millisecond, 1000},
		{100, 10 * time.Millisecond, 500},
		{100, 100 * time.Millisecond, 50},
		{100, 10 * time.Second, 16},
		{100, 0, 1000},
	} {
		if got := paceLimit(tt.answered, tt.took); got != tt.want {
			t.Errorf("%d in %v: %d, want %d", tt.answered, tt.took, got, tt.want)
		}
	}
}
