package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type batchedRequest struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

type batchedAnswer map[string]any

// batching answers $batch in any order with what item says; nil leaves the item out.
func batching(t *testing.T, item func(r batchedRequest) batchedAnswer) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Requests []batchedRequest `json:"requests"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.URL.Path != "/v1.0/$batch" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if len(in.Requests) > maxBatch {
			t.Errorf("%d items in a batch", len(in.Requests))
		}
		ids := map[string]bool{}
		var out []batchedAnswer
		for _, q := range in.Requests {
			if ids[q.ID] {
				t.Errorf("id %s twice", q.ID)
			}
			ids[q.ID] = true
			if a := item(q); a != nil {
				a["id"] = q.ID
				out = append(out, a)
			}
		}
		rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		writeJSON(w, map[string]any{"responses": out})
	}
}

func found(id string) batchedAnswer {
	return batchedAnswer{"status": 200, "headers": map[string]any{"Content-Type": "application/json"}, "body": map[string]any{"id": id}}
}

func idOf(q batchedRequest) string {
	_, rest, _ := strings.Cut(q.URL, "/events/")
	id, _, _ := strings.Cut(rest, "?")
	return id
}

func TestEventsGivesEachItemItsOwnVerdict(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, batching(t, func(q batchedRequest) batchedAnswer {
		failed := func(status int, code string, headers map[string]any) batchedAnswer {
			return batchedAnswer{"status": status, "headers": headers, "body": map[string]any{"error": map[string]any{
				"code": code, "innerError": map[string]any{"request-id": "r-" + idOf(q)},
			}}}
		}
		if q.Method != http.MethodGet || q.Headers["Prefer"] != prefer || !strings.HasSuffix(q.URL, "?$select="+eventSelect) {
			t.Errorf("item %+v", q)
		}
		switch idOf(q) {
		case "gone":
			return failed(404, "ErrorItemNotFound", nil)
		case "throttled":
			return failed(429, "ApplicationThrottled", map[string]any{"retry-after": "2.5", "odd": 7})
		case "forbidden":
			return failed(403, "", nil)
		case "left-out":
			return nil
		case "garbled":
			return batchedAnswer{"status": 200, "body": "aGVsbG8="}
		case "ill":
			return batchedAnswer{"status": 503, "headers": nil, "body": nil}
		default:
			return found(idOf(q))
		}
	}))
	names := []string{"fine", "gone", "throttled", "forbidden", "left-out", "garbled", "ill", "fine-too"}
	refs := make([]EventRef, len(names))
	for i, name := range names {
		refs[i] = EventRef{Mailbox: Mailbox{Tenant: tenantA, User: fmt.Sprintf("user-%d", i)}, ID: name}
	}
	c := s.client(t)
	results := c.Events(t.Context(), tenantA, refs)
	want := map[string]Kind{
		"fine": "", "gone": KindNotFound, "throttled": KindThrottled, "forbidden": KindMailbox, "left-out": KindUnavailable,
		"garbled": KindInvalid, "ill": KindUnavailable, "fine-too": "",
	}
	got := map[string]Kind{}
	for i, r := range results {
		got[names[i]] = KindOf(r.Err)
		if r.Err == nil && r.Event.ID != names[i] {
			t.Errorf("%s got %s", names[i], r.Event.ID)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e, ok := results[2].Err.(*Error); !ok || e.RetryAfter != 2500*time.Millisecond || e.RequestID != "r-throttled" { //nolint:errorlint // Made unwrapped.
		t.Errorf("got %+v", results[2].Err)
	}
	if n := len(s.seen()); n != 1 {
		t.Errorf("%d batches", n)
	}
	// The mailbox that was told to wait is left alone, the others aren't.
	results = c.Events(t.Context(), tenantA, refs[1:4])
	if KindOf(results[1].Err) != KindThrottled || KindOf(results[0].Err) != KindNotFound {
		t.Errorf("got %v", results)
	}
	if strings.Contains(s.seen()[1].Body, "user-2") {
		t.Error("the throttled mailbox was asked again")
	}
	waitFor(t, "the lanes to be forgotten", func() bool {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		return len(c.gate.lanes) == 1
	})
}

func TestEventsRespectsEachMailbox(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	perBatch := 0
	inFlight, most := map[string]int{}, map[string]int{}
	total, mostTotal := 0, 0
	inner := batching(t, func(q batchedRequest) batchedAnswer { return found(idOf(q)) })
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Requests []batchedRequest `json:"requests"`
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &in)
		counts := map[string]int{}
		for _, q := range in.Requests {
			counts[strings.Split(q.URL, "/")[2]]++
		}
		mu.Lock()
		total++
		mostTotal = max(mostTotal, total)
		for user, n := range counts {
			perBatch = max(perBatch, n)
			inFlight[user] += n
			most[user] = max(most[user], inFlight[user])
		}
		mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		inner(w, r)
		mu.Lock()
		total--
		for user, n := range counts {
			inFlight[user] -= n
		}
		mu.Unlock()
	})
	c := s.client(t, func(cfg *Config) { cfg.MailboxConcurrency, cfg.Concurrency = 2, 8 })
	var refs []EventRef
	for i := range 150 {
		refs = append(refs, EventRef{Mailbox: Mailbox{User: fmt.Sprintf("user-%d", i%15)}, ID: fmt.Sprintf("e%d", i)})
	}
	var calls sync.WaitGroup
	for range 3 { // Several sweeps and workers at once.
		calls.Go(func() {
			for i, r := range c.Events(t.Context(), tenantA, refs) {
				if r.Err != nil || r.Event.ID != refs[i].ID {
					t.Errorf("%d: %v, %v", i, r.Event.ID, r.Err)
				}
			}
		})
	}
	calls.Wait()
	if perBatch > 2 || slices.Max(slices.Collect(maps.Values(most))) > 2 {
		t.Errorf("%d of one mailbox in a batch, %v at once", perBatch, most)
	}
	if mostTotal > 2 {
		t.Errorf("%d batches at once, each counts as four of eight", mostTotal)
	}
	if len(c.gate.lanes) != 0 {
		t.Errorf("%d lanes are kept", len(c.gate.lanes))
	}
}

func TestEventsFillsItsBatches(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, batching(t, func(q batchedRequest) batchedAnswer { return found(idOf(q)) }))
	var refs []EventRef
	for i := range 45 {
		refs = append(refs, EventRef{Mailbox: Mailbox{User: fmt.Sprintf("user-%d", i)}, ID: fmt.Sprintf("e%d", i)})
	}
	for _, r := range s.client(t).Events(t.Context(), tenantA, refs) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if n := len(s.seen()); n != 3 {
		t.Errorf("%d batches for 45 mailboxes", n)
	}
	if got := s.client(t).Events(t.Context(), tenantA, nil); len(got) != 0 {
		t.Errorf("%d results for nothing", len(got))
	}
}

func TestBatchThatFailsAsAWhole(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		handler http.HandlerFunc
		kind    Kind
	}{
		{"throttled", answer(429, `{"error":{"code":"TooManyRequests"}}`, "Retry-After", "9"), KindThrottled},
		{"ill", answer(502, ``), KindUnavailable},
		{"not found", answer(404, `{"error":{"code":"NotFound"}}`), KindUnavailable},
		{"not a batch", answer(200, `[]`), KindInvalid},
		{"no answers at all", answer(200, `{"responses":[]}`), KindUnavailable},
		{"ids of somebody else", answer(200, `{"responses":[{"id":"77","status":200},{"id":"x"},{"id":null},{"id":-1}]}`), KindUnavailable},
		{"a published batch that is no JSON", nil, KindInvalid},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			handler := tc.handler
			if handler == nil {
				handler = answer(200, string(fixture(t, "batch-response-mixed-statuses__concepts-json-batching-2025.raw.txt")))
			}
			s := newStandIn(t, handler)
			c := s.client(t)
			refs := []EventRef{{Mailbox{tenantA, mailboxA}, "1"}, {Mailbox{tenantA, mailboxB}, "2"}}
			for _, r := range c.Events(t.Context(), tenantA, refs) {
				if KindOf(r.Err) != tc.kind {
					t.Errorf("got %v", r.Err)
				}
			}
			if tc.kind != KindThrottled {
				return
			}
			for _, r := range c.Events(t.Context(), tenantA, refs) {
				if KindOf(r.Err) != KindThrottled {
					t.Errorf("got %v", r.Err)
				}
			}
			if len(s.seen()) != 1 {
				t.Errorf("%d batches while told to wait", len(s.seen()))
			}
		})
	}
}

func TestBatchedItemsWithARefusedToken(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, nil)
	s.graph = func(w http.ResponseWriter, r *http.Request) {
		batching(t, func(q batchedRequest) batchedAnswer {
			if idOf(q) == "stubborn" || r.Header.Get("Authorization") == "Bearer token-1" && idOf(q) == "late" {
				return batchedAnswer{"status": 401, "body": map[string]any{"error": map[string]any{"code": "InvalidAuthenticationToken"}}}
			}
			return found(idOf(q))
		})(w, r)
	}
	refs := []EventRef{{Mailbox{User: "a"}, "early"}, {Mailbox{User: "b"}, "late"}, {Mailbox{User: "c"}, "stubborn"}}
	results := s.client(t).Events(t.Context(), tenantA, refs)
	if results[0].Err != nil || results[1].Err != nil || results[1].Event.ID != "late" || KindOf(results[2].Err) != KindMailbox {
		t.Errorf("got %+v", results)
	}
	if len(s.seen()) != 2 || s.issued.Load() != 2 || strings.Contains(s.seen()[1].Body, "early") {
		t.Errorf("%d batches, %d tokens", len(s.seen()), s.issued.Load())
	}
}

func TestEventsEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newStandIn(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	c := s.client(t, func(cfg *Config) { cfg.Concurrency, cfg.MailboxConcurrency = 1, 1 })
	refs := []EventRef{{Mailbox{User: "a"}, "1"}, {Mailbox{User: "a"}, "2"}, {Mailbox{User: "b"}, "3"}}
	for _, r := range c.Events(ctx, tenantA, refs) {
		if KindOf(r.Err) != KindUnavailable {
			t.Errorf("got %v", r.Err)
		}
	}
	if len(c.gate.lanes) != 0 {
		t.Errorf("%d lanes are kept", len(c.gate.lanes))
	}
}

// An answer that comes twice is one answer.
func TestBatchThatAnswersTwice(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, `{"responses":[{"id":"0","status":200,"body":{"id":"first"}},{"id":"0","status":404,"body":null}]}`))
	results := s.client(t).Events(t.Context(), tenantA, []EventRef{{Mailbox{tenantA, mailboxA}, "1"}})
	if results[0].Err != nil || results[0].Event.ID != "first" {
		t.Errorf("got %+v", results[0])
	}
}

// A batch waits for a mailbox that others keep busy, and for no longer than that.
func TestEventsWaitsForABusyMailbox(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newStandIn(t, nil)
	s.graph = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.0/$batch" {
			batching(t, func(q batchedRequest) batchedAnswer { return found(idOf(q)) })(w, r)
			return
		}
		<-release
		answer(http.StatusOK, plainEvent)(w, r)
	}
	c := s.client(t, func(cfg *Config) { cfg.MailboxConcurrency = 1 })
	single := make(chan error, 1)
	go func() {
		_, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1")
		single <- err
	}()
	waitFor(t, "the single call", func() bool { return len(s.seen()) == 1 })
	batched := make(chan []Result, 1)
	go func() {
		batched <- c.Events(t.Context(), tenantA, []EventRef{{Mailbox{User: mailboxA}, "2"}, {Mailbox{User: mailboxB}, "3"}})
	}()
	waitFor(t, "the batch without the busy mailbox", func() bool { return len(s.seen()) == 2 })
	if strings.Contains(s.seen()[1].Body, mailboxA) {
		t.Error("the busy mailbox got a second call")
	}
	close(release)
	for _, r := range <-batched {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if err := <-single; err != nil {
		t.Error(err)
	}
}
