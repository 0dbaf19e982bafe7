package queue

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"pairsync/model"
)

func TestTokensAreLegalAndReversible(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z=._0-9 -]*`)).Draw(t, "text")
		got := token(text)
		if got == "" || strings.ContainsAny(got, ".*> \t\r\n\x00") {
			t.Fatalf("%q became %q", text, got)
		}
		if back, err := untoken(got); err != nil || back != text {
			t.Fatalf("%q became %q became %q, %v", text, got, back, err)
		}
	})
	for text, want := range map[string]string{
		"9f4c2f1e-8f0b-4d8e-a1b2-0123456789ab": "9f4c2f1e-8f0b-4d8e-a1b2-0123456789ab",
		"":                                     "=", "a.b": "a=2eb", "=": "=3d",
	} {
		if got := token(text); got != want {
			t.Errorf("token(%q) is %q, want %q", text, got, want)
		}
	}
	for _, bad := range []string{"=2", "=zz", "a="} {
		if got, err := untoken(bad); err == nil {
			t.Errorf("untoken(%q) is %q", bad, got)
		}
	}
}

// untoken undoes token, to show that it can be undone.
func untoken(t string) (string, error) {
	if t == string(escape) {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] != escape {
			b.WriteByte(t[i])
			continue
		}
		if i+3 > len(t) {
			return "", errors.New("an escaped byte is cut short")
		}
		c, err := hex.DecodeString(t[i+1 : i+3])
		if err != nil {
			return "", err
		}
		b.WriteByte(c[0])
		i += 2
	}
	return b.String(), nil
}

func TestParsePosition(t *testing.T) {
	t.Parallel()
	want := position{delivered: 3, sequence: 17, stored: time.Unix(0, 1700000000000000001).UTC()}
	for _, reply := range []string{
		"$JS.ACK.PAIRSYNC_NOTIFICATIONS.reconcile.3.17.20.1700000000000000001.5",
		"$JS.ACK._.hash.PAIRSYNC_NOTIFICATIONS.reconcile.3.17.20.1700000000000000001.5",
		"$JS.ACK.hub.hash.PAIRSYNC_NOTIFICATIONS.reconcile.3.17.20.1700000000000000001.5.random",
	} {
		if got, err := parsePosition(reply); err != nil || got != want {
			t.Errorf("%s is %+v, %v", reply, got, err)
		}
	}
	for _, reply := range []string{"", "_INBOX.x.y", "$JS.ACK.S.c.3.17.20.1", "$JS.ACK.S.c.3.17.20.1.5.6", "$JS.ACK.S.c.x.17.20.1.5"} {
		if got, err := parsePosition(reply); err == nil {
			t.Errorf("%q is %+v", reply, got)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	limits := ConsumerConfig{MaxAttempts: 3, RetryMin: time.Second, RetryMax: time.Minute}
	plain := errors.New("plain")
	for name, c := range map[string]struct {
		err    error
		soFar  int
		cut    bool
		want   verdict
		reason string
		after  time.Duration // the longest that it may be
	}{
		"done":                     {nil, 9, true, verdictDone, "", 0},
		"later":                    {RetryAfter(time.Hour, plain), 9, false, verdictLater, "", time.Hour},
		"later, wrapped":           {fmt.Errorf("reading: %w", RetryAfter(time.Hour, plain)), 9, true, verdictLater, "", time.Hour},
		"at once":                  {RetryAfter(-1, plain), 0, false, verdictLater, "", shortestDelay},
		"never":                    {Drop("bug", plain), 0, false, verdictDead, "bug", 0},
		"never, wrapped":           {fmt.Errorf("reading: %w", Drop("bug", plain)), 0, true, verdictDead, "bug", 0},
		"never, whatever is in it": {Drop("bug", RetryAfter(time.Hour, plain)), 0, false, verdictDead, "bug", 0},
		"first failure":            {plain, 0, false, verdictFailed, "", time.Second},
		"second failure":           {plain, 1, false, verdictFailed, "", 2 * time.Second},
		"last failure":             {plain, 2, false, verdictDead, ReasonExhausted, 0},
		"cut short":                {plain, 2, true, verdictReturned, "", 0},
	} {
		got := decide(c.err, c.soFar, limits, c.cut)
		if got.verdict != c.want || got.reason != c.reason || got.after > c.after || got.after < c.after*3/4 || !errors.Is(got.err, c.err) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if err := RetryAfter(time.Second, plain); !errors.Is(err, plain) || err.Error() != "again in 1s: plain" {
		t.Error(err)
	}
	if err := Drop("bug", plain); !errors.Is(err, plain) || err.Error() != "given up (bug): plain" {
		t.Error(err)
	}
}

func TestBackoffStaysInItsBounds(t *testing.T) {
	t.Parallel()
	for soFar := range 100 {
		if d := backoff(soFar, time.Minute, time.Hour); d < 45*time.Second || d > time.Hour {
			t.Errorf("after %d failures it is %v", soFar, d)
		}
	}
}

func deliveryOf(sequence uint64, key string) *delivery[model.Hint] {
	return &delivery[model.Hint]{key: key, reply: fmt.Sprintf("reply-%d", sequence), position: position{sequence: sequence, delivered: 1}, msg: &nats.Msg{}}
}

// TestARedeliveryInHandOnlyRenewsTheReply as after a break that lasted longer than the server's patience.
func TestARedeliveryInHandOnlyRenewsTheReply(t *testing.T) {
	t.Parallel()
	var k desk[model.Hint]
	k.init(10)
	k.put(deliveryOf(1, "A"))
	l, group := k.next()
	again := deliveryOf(1, "A")
	again.reply, again.position.delivered = "newer", 2
	if !k.put(again) || k.held() != 1 || k.attempt(group) != 2 {
		t.Errorf("%d in hand, attempt %d", k.held(), k.attempt(group))
	}
	if diff := cmp.Diff([]string{"newer"}, k.forget(group)); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	k.finish(l)
	if len(k.lanes) != 0 || len(k.ready) != 0 {
		t.Errorf("%d lanes and %d ready are left", len(k.lanes), len(k.ready))
	}
}

func TestSignsOfLifeAreDueOnlyForTheQuiet(t *testing.T) {
	t.Parallel()
	var k desk[model.Hint]
	k.init(10)
	now := time.Now()
	for n, age := range []time.Duration{0, time.Second, time.Minute} {
		d := deliveryOf(uint64(n), "A")
		d.touched = now.Add(-age)
		k.put(d)
	}
	if got := k.stale(now.Add(-30*time.Second), now); !cmp.Equal(got, []string{"reply-2"}) {
		t.Errorf("due are %v", got)
	}
	if got := k.stale(now.Add(-30*time.Second), now); len(got) != 0 {
		t.Errorf("due again are %v", got)
	}
}

func TestAStoppedDeskGivesEverythingBack(t *testing.T) {
	t.Parallel()
	var k desk[model.Hint]
	k.init(10)
	k.put(deliveryOf(1, "A"))
	k.next()
	k.put(deliveryOf(2, "A"))
	k.put(deliveryOf(3, "B"))
	k.stop()
	if l, _ := k.next(); l != nil {
		t.Error("it goes on giving out")
	}
	if k.put(deliveryOf(4, "C")) {
		t.Error("it goes on taking")
	}
	left := k.clear()
	k.forget(left)
	if len(left) != 2 || k.held() != 1 {
		t.Errorf("%d given back, %d in hand", len(left), k.held())
	}
}

// TestHintsReadAsWritten holds the reader to what the door writes.
func TestHintsReadAsWritten(t *testing.T) {
	t.Parallel()
	want := model.Hint{
		Tenant: "t", Mailbox: "m", SubscriptionID: "s", ChangeType: model.ChangeUpdated, EventID: "AAk=", ChangeKey: `q"<>&é`,
		ReceivedAt: time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC),
	}
	got, err := decodeHint(appendHint(nil, &want))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestForeignHeadersDoNoHarm(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"", "x", "-1"} {
		if n := failures(nats.Header{headerFailures: {v}}); n != 0 {
			t.Errorf("%q failures are %d", v, n)
		}
	}
	if at := headerTime(nats.Header{headerNotBefore: {"soon"}}, headerNotBefore); !at.IsZero() {
		t.Errorf("soon is %v", at)
	}
	if sc := extract(t.Context(), nats.Header{"traceparent": {"nonsense"}}); sc.IsValid() {
		t.Error("nonsense is a trace")
	}
}
