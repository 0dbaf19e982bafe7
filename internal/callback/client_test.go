package callback

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// client is a Client that trusts the receiver's certificate.
func client(t *testing.T, cfg Config, receiver *httptest.Server) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if receiver != nil {
		c.transport.TLSClientConfig = receiver.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	}
	t.Cleanup(c.Close)
	return c
}

func message(url string) Message {
	return Message{URL: url, ID: "c-1", Body: []byte(`{"type":"x"}`), Secrets: []string{newSecret()}, SentAt: time.Now()}
}

func TestEverySecretSigns(t *testing.T) {
	t.Parallel()
	type call struct {
		header http.Header
		body   []byte
	}
	calls := make(chan call, 1)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		calls <- call{r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	c := client(t, Config{AllowPrivate: true, UserAgent: "pairsync/test"}, receiver)
	m := message(receiver.URL)
	m.Secrets = []string{newSecret(), newSecret()}
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := <-calls
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("User-Agent") != "pairsync/test" {
		t.Errorf("headers: %v", got.header)
	}
	if id := got.header.Get("webhook-id"); id != "c-1" {
		t.Errorf("webhook-id is %q", id)
	}
	for i, secret := range append(slices.Clone(m.Secrets), newSecret()) {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		err = verifier.Verify(got.body, got.header)
		if known := i < 2; known != (err == nil) {
			t.Errorf("secret %d: %v", i, err)
		}
		if verifier.Verify(append(got.body, ' '), got.header) == nil {
			t.Errorf("secret %d: another body is verified", i)
		}
	}
}

// newSecret is one as the scheme writes it.
func newSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text())) }

func TestNothingGoesUnsigned(t *testing.T) {
	t.Parallel()
	c := client(t, Config{AllowPrivate: true}, nil)
	for _, secrets := range [][]string{nil, {"whsec_!!!"}} {
		m := message("http://127.0.0.1:1/")
		m.Secrets = secrets
		failure, ok := errors.AsType[*Error](c.Send(t.Context(), m))
		if !ok || failure.Reason != ReasonUnsigned {
			t.Errorf("%v: got %v", secrets, failure)
		}
	}
}

func TestBodyIsWhatTheSchemesUsersExpect(t *testing.T) {
	t.Parallel()
	raw, err := Body{Type: "thing.made", Timestamp: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), Data: map[string]string{"id": "1"}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"thing.made","timestamp":"2026-12-01T09:00:00Z","data":{"id":"1"}}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	if _, err := (Body{Data: json.RawMessage("{")}).Encode(); err == nil {
		t.Error("encoded what is no JSON")
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		reason Reason
	}{
		{200, ""},
		{201, ""},
		{202, ""},
		{204, ""},
		{299, ""},
		{301, ReasonRedirected},
		{302, ReasonRedirected},
		{307, ReasonRedirected},
		{400, ReasonRejected},
		{401, ReasonRejected},
		{404, ReasonRejected},
		{410, ReasonGone},
		{429, ReasonThrottled},
		{500, ReasonServerError},
		{502, ReasonServerError},
		{503, ReasonServerError},
		{700, ReasonServerError},
	} {
		calls := 0
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set("Location", "http://"+r.Host+"/elsewhere")
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(tt.status)
		}))
		err := client(t, Config{AllowPrivate: true}, nil).Send(t.Context(), message(receiver.URL))
		receiver.Close()
		failure, failed := errors.AsType[*Error](err)
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%d: %v", tt.status, err)
		case tt.reason != "" && (!failed || failure.Reason != tt.reason || failure.Status != tt.status || failure.RetryAfter != 2*time.Minute):
			t.Errorf("%d: %v", tt.status, err)
		}
		if calls != 1 {
			t.Errorf("%d: %d calls", tt.status, calls)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0,
		"Tue, 01 Dec 2026 09:01:00 GMT": time.Minute, "Tue, 01 Dec 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// A receiver that says yes and then never stops talking was told all the same, and costs nobody more than the bound.
func TestAnswersAreReadToABound(t *testing.T) {
	t.Parallel()
	written := make(chan int, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for r.Context().Err() == nil {
			more, err := w.Write(make([]byte, 32<<10))
			n += more
			if err != nil {
				break
			}
		}
		written <- n
	}))
	defer receiver.Close()
	if err := client(t, Config{AllowPrivate: true}, nil).Send(t.Context(), message(receiver.URL)); err != nil {
		t.Error(err)
	}
	if n := <-written; n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

func TestTroubleOnTheWay(t *testing.T) {
	t.Parallel()
	quiet := make(chan struct{})
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-quiet:
		case <-r.Context().Done():
		}
	}))
	defer receiver.Close()
	defer close(quiet)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()

	for name, tt := range map[string]struct {
		client *Client
		url    string
		want   Reason
	}{
		"slow":           {client(t, Config{AllowPrivate: true, Timeout: 50 * time.Millisecond}, receiver), receiver.URL, ReasonTimeout},
		"stranger":       {client(t, Config{AllowPrivate: true}, nil), receiver.URL, ReasonTLS},
		"no TLS":         {client(t, Config{AllowPrivate: true}, nil), strings.Replace(plain.URL, "http:", "https:", 1), ReasonTLS},
		"nobody listens": {client(t, Config{AllowPrivate: true}, nil), closed.URL, ReasonNetwork},
		"no such name":   {client(t, Config{AllowPrivate: true}, nil), "https://nobody.invalid/", ReasonNameUnknown},
	} {
		err := tt.client.Send(t.Context(), message(tt.url))
		failure, ok := errors.AsType[*Error](err)
		if !ok || failure.Reason != tt.want || failure.Status != 0 {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		if strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "invalid") {
			t.Errorf("%s: the address is in the error: %v", name, err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client(t, Config{AllowPrivate: true}, receiver).Send(ctx, message(receiver.URL)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReasonsAreEachThereOnce(t *testing.T) {
	t.Parallel()
	all := Reasons()
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) || slices.Contains(all, "") {
		t.Errorf("%v", all)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{Timeout: -1}, {ConnsPerHost: -1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
