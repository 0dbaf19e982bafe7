package webhook

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"pairsync/model"
)

// fakePublisher confirms what it is given as told, Stored by default, and keeps it.
type fakePublisher struct {
	confirm func(ctx context.Context, hints []model.Hint) ([]model.Confirmation, error)
	mu      sync.Mutex
	hints   []model.Hint
	traces  []oteltrace.SpanContext
}

func (f *fakePublisher) Publish(ctx context.Context, hints []model.Hint) ([]model.Confirmation, error) {
	f.mu.Lock()
	f.hints = append(f.hints, hints...)
	f.traces = append(f.traces, oteltrace.SpanContextFromContext(ctx))
	f.mu.Unlock()
	if f.confirm != nil {
		return f.confirm(ctx, hints)
	}
	c := make([]model.Confirmation, len(hints))
	for i := range c {
		c[i] = model.Stored
	}
	return c, nil
}

func post(tb testing.TB, h http.Handler, target, contentType, body string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const graphJSON = "application/json; charset=utf-8"

func TestHandshake(t *testing.T) {
	t.Parallel()
	h, _ := newTestHandler(t, Config{}, &fakePublisher{})
	long := strings.Repeat("x", 4096)
	tests := map[string]struct {
		query, contentType, body string
		code                     int
		want                     string
	}{
		"as seen": {
			"validationToken=Validation%3a+Testing+client+application+reachability%20for+subscription+Request-Id%3a+522a8e7e", "text/plain; charset=utf-8", "",
			200, "Validation: Testing client application reachability for subscription Request-Id: 522a8e7e",
		},
		"after our own parameters": {"mine=1&validationToken=a%2Bb&more", "text/plain", "", 200, "a+b"},
		"any content type":         {"validationToken=t", "", "", 200, "t"},
		"any body":                 {"validationToken=t", graphJSON, `{"value":[`, 200, "t"},
		"markup as it is":          {"validationToken=%3Cscript%3E%26amp%3B%00%ff", "", "", 200, "<script>&amp;\x00\xff"},
		"semicolon":                {"validationToken=a;b=c", "", "", 200, "a;b=c"},
		"equals sign":              {"validationToken=a==", "", "", 200, "a=="},
		"longest":                  {"validationToken=" + long, "", "", 200, long},
		"too long":                 {"validationToken=" + long + "x", "", "", 400, ""},
		"longest, escaped":         {"validationToken=" + strings.Repeat("%78", 4096), "", "", 200, long},
		"empty":                    {"validationToken=", "", "", 400, ""},
		"undecodable":              {"validationToken=%zz", "", "", 400, ""},
		"cut escape":               {"validationToken=abc%2", "", "", 400, ""},
	}
	for name, tt := range tests {
		for _, path := range []string{NotificationsPath, LifecyclePath} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				w := post(t, h, path+"?"+tt.query, tt.contentType, tt.body)
				if w.Code != tt.code || w.Body.String() != tt.want {
					t.Fatalf("%d %q, want %d %q", w.Code, w.Body, tt.code, tt.want)
				}
				if tt.code != http.StatusOK {
					return
				}
				if got := w.Header().Get("Content-Type"); got != "text/plain" {
					t.Errorf("Content-Type %q", got)
				}
				if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
					t.Errorf("X-Content-Type-Options %q", got)
				}
			})
		}
	}
}

func FuzzHandshake(f *testing.F) {
	h, _ := newTestHandler(f, Config{}, &fakePublisher{})
	f.Add("a b+c%")
	f.Add("<script>")
	f.Fuzz(func(t *testing.T, token string) {
		r := httptest.NewRequest(http.MethodPost, NotificationsPath, http.NoBody)
		r.URL.RawQuery = url.Values{"validationToken": {token}}.Encode()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if wanted := token != "" && len(token) <= maxToken; (w.Code == 200) != wanted || (wanted && w.Body.String() != token) {
			t.Errorf("token %q: %d %q", token, w.Code, w.Body)
		}
	})
}

func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	extra := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h, _ := newTestHandler(t, Config{Extra: map[string]http.Handler{"/consent/callback": extra}}, &fakePublisher{})
	tests := []struct {
		method, target string
		want           int
	}{
		{"GET", "/", 404},
		{"POST", "/", 404},
		{"GET", "/graph/notifications", 405},
		{"GET", "/graph/notifications?validationToken=x", 405},
		{"PUT", "/graph/lifecycle", 405},
		{"OPTIONS", "/graph/lifecycle", 405},
		{"POST", "/graph/notifications/", 404},
		{"POST", "//graph/notifications", 404},
		{"POST", "/graph/../graph/notifications", 404},
		{"POST", "/Graph/Notifications", 404},
		{"GET", "/metrics", 404},
		{"GET", "/healthz", 404},
		{"GET", "/v1/changes", 404},
		{"GET", "/consent/callback", 418},
		{"GET", "/connect/callback", 404},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(tt.method, "http://door"+tt.target, http.NoBody)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want || w.Body.Len() != 0 || w.Header().Get("Location") != "" {
			t.Errorf("%s %s: %d %q %v, want %d and nothing else", tt.method, tt.target, w.Code, w.Body, w.Header(), tt.want)
		}
	}
}

func TestDeliverStatuses(t *testing.T) {
	t.Parallel()
	state := signed(t, testStates(t))
	good := collection(change(state, testEvent, "DwAA"))
	tests := map[string]struct {
		contentType, body string
		want              int
	}{
		"graph's own":         {graphJSON, good, 202},
		"plain":               {"application/json", good, 202},
		"capitals and spaces": {" Application/JSON ;charset=UTF-8", good, 202},
		"other json":          {"application/cloudevents-batch+json", good, 202},
		"empty collection":    {graphJSON, `{"value":[]}`, 202},
		"nothing of ours":     {graphJSON, collection(change("x", "e", "")), 202},
		"no content type":     {"", good, 415},
		"text":                {"text/plain", good, 415},
		"form":                {"application/x-www-form-urlencoded", good, 415},
		"bare +json":          {"+json", good, 415},
		"jsonp":               {"application/jsonp", good, 415},
		"no body":             {graphJSON, "", 400},
		"not json":            {graphJSON, "<xml/>", 400},
		"not a collection":    {graphJSON, `{"values":[]}`, 400},
		"cut":                 {graphJSON, good[:len(good)-2], 400},
		"too many items":      {graphJSON, `{"value":[` + strings.Repeat("{},", 10_000) + `{}]}`, 413},
		"too large":           {graphJSON, strings.Repeat(" ", 4<<20) + good, 413},
		"large enough":        {graphJSON, strings.Repeat(" ", 4<<20-len(good)) + good, 202},
	}
	for name, tt := range tests {
		for _, path := range []string{NotificationsPath, LifecyclePath} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				h, _ := newTestHandler(t, Config{}, &fakePublisher{})
				if w := post(t, h, path, tt.contentType, tt.body); w.Code != tt.want || w.Body.Len() > 0 {
					t.Errorf("%d %q, want %d", w.Code, w.Body, tt.want)
				}
			})
		}
	}
}

func TestDeliverRefusesCompression(t *testing.T) {
	t.Parallel()
	h, _ := newTestHandler(t, Config{}, &fakePublisher{})
	for encoding, want := range map[string]int{"": 202, "identity": 202, "gzip": 415, "br": 415, "x, gzip": 415} {
		r := httptest.NewRequest(http.MethodPost, NotificationsPath, strings.NewReader(`{"value":[]}`))
		r.Header.Set("Content-Type", graphJSON)
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", encoding, w.Code, want)
		}
	}
}

// counts reads pairsync_notifications_total by result.
func counts(tb testing.TB, reg prometheus.Gatherer, name, label string) map[string]float64 {
	tb.Helper()
	families, err := reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					got[l.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
	}
	return got
}

func TestDeliverCountsEachItemOnce(t *testing.T) {
	t.Parallel()
	state := signed(t, testStates(t))
	p := &fakePublisher{confirm: func(_ context.Context, hints []model.Hint) ([]model.Confirmation, error) {
		c := make([]model.Confirmation, len(hints))
		for i, h := range hints {
			switch h.ChangeKey {
			case "dup":
				c[i] = model.Duplicate
			case "lost":
			default:
				c[i] = model.Stored
			}
		}
		return c, errors.New("one was lost")
	}}
	h, reg := newTestHandler(t, Config{}, p)
	w := post(t, h, NotificationsPath, graphJSON, collection(
		change(state, "a", "1"), change("forged", "b", "2"), change(state, "c", "dup"), "17", change(state, "d", "lost"),
		lifecycle(state, "missed"), lifecycle(state, "somethingNew"), lifecycle("forged", "missed"),
		strings.Replace(change(state, "e", "3"), "/Events/", "/Messages/", 1),
	))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	want := map[string]float64{"accepted": 3, "duplicate": 1, "bad_client_state": 2, "malformed": 2, "unavailable": 1}
	if diff := cmp.Diff(want, counts(t, reg, "pairsync_notifications_total", "result")); diff != "" {
		t.Error(diff)
	}
	wantEvents := map[string]float64{"missed": 1, "other": 1, "reauthorizationRequired": 0, "subscriptionRemoved": 0}
	if diff := cmp.Diff(wantEvents, counts(t, reg, "pairsync_lifecycle_notifications_total", "event")); diff != "" {
		t.Error(diff)
	}
	events := make([]string, 0, len(p.hints))
	for _, h := range p.hints {
		events = append(events, h.EventID+string(h.Lifecycle))
	}
	if diff := cmp.Diff([]string{"a", "c", "d", "missed", "somethingNew"}, events); diff != "" {
		t.Errorf("published: %s", diff)
	}
}

func TestDeliverDoesNotTrustAShortAnswer(t *testing.T) {
	t.Parallel()
	state := signed(t, testStates(t))
	h, reg := newTestHandler(t, Config{}, &fakePublisher{confirm: func(context.Context, []model.Hint) ([]model.Confirmation, error) {
		return nil, nil
	}})
	if w := post(t, h, NotificationsPath, graphJSON, collection(change(state, "a", "1"))); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d", w.Code)
	}
	if got := counts(t, reg, "pairsync_notifications_total", "result")["unavailable"]; got != 1 {
		t.Errorf("unavailable %v", got)
	}
}

func TestDeliverAnswersInTime(t *testing.T) {
	t.Parallel()
	state := signed(t, testStates(t))
	h, _ := newTestHandler(t, Config{}, &fakePublisher{confirm: func(ctx context.Context, hints []model.Hint) ([]model.Confirmation, error) {
		<-ctx.Done()
		return make([]model.Confirmation, len(hints)), ctx.Err()
	}})
	began := time.Now()
	w := post(t, h, LifecyclePath, graphJSON, collection(lifecycle(state, "missed")))
	if took := time.Since(began); w.Code != http.StatusServiceUnavailable || took > 2*time.Second {
		t.Errorf("%d after %v", w.Code, took)
	}
}

func TestEveryLabelExistsFromTheStart(t *testing.T) {
	t.Parallel()
	_, reg := newTestHandler(t, Config{}, &fakePublisher{})
	if got := counts(t, reg, "pairsync_notifications_total", "result"); len(got) != 5 {
		t.Errorf("results %v", got)
	}
	if got := counts(t, reg, "pairsync_lifecycle_notifications_total", "event"); len(got) != 4 {
		t.Errorf("events %v", got)
	}
	if got := counts(t, reg, "pairsync_webhook_request_seconds", "code"); len(got) != len(codes()) {
		t.Errorf("codes %v", got)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestDeliverTracesWithARootOfItsOwn(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	p := &fakePublisher{}
	states := testStates(t)
	h, err := New(Config{}, Deps{
		Publisher: p, ClientStates: states, Registerer: prometheus.NewRegistry(),
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, NotificationsPath, strings.NewReader(collection(change(signed(t, states), "a", "1"))))
	r.Header.Set("Content-Type", graphJSON)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.ServeHTTP(httptest.NewRecorder(), r)
	ended := spans.Ended()
	if len(ended) != 1 || len(p.traces) != 1 || ended[0].SpanContext().SpanID() != p.traces[0].SpanID() {
		t.Fatalf("%d spans, %d published under %v", len(ended), len(p.traces), p.traces)
	}
	if id := ended[0].SpanContext().TraceID().String(); id == "0af7651916cd43dd8448eb211c80319c" {
		t.Error("a stranger's trace was continued")
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := Deps{Publisher: &fakePublisher{}, ClientStates: testStates(t), Registerer: prometheus.NewRegistry()}
	for name, tt := range map[string]struct {
		cfg  Config
		edit func(*Deps)
	}{
		"no publisher":   {Config{}, func(d *Deps) { d.Publisher = nil }},
		"no prover":      {Config{}, func(d *Deps) { d.ClientStates = nil }},
		"no registerer":  {Config{}, func(d *Deps) { d.Registerer = nil }},
		"slow answer":    {Config{ConfirmTimeout: 3 * time.Second}, nil},
		"hasty retry":    {Config{RetryAfter: time.Millisecond}, nil},
		"graph's path":   {Config{Extra: map[string]http.Handler{NotificationsPath: http.NotFoundHandler()}}, nil},
		"no small room":  {Config{SmallBodies: 1}, nil},
		"no large room":  {Config{LargeBodies: 1 << 20}, nil},
		"negative bound": {Config{MaxItems: -1}, nil},
	} {
		deps := good
		if tt.edit != nil {
			tt.edit(&deps)
		}
		if _, err := New(tt.cfg, deps); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
