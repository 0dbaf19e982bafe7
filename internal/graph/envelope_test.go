package graph

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, body, code, requestID string
		insideOut                   []string
		ok                          bool
	}{
		{"plain", `{"error":{"code":"a","innerError":{"request-id":"r"}}}`, "a", "r", []string{"a"}, true},
		{"other spelling", `{"error":{"Code":"a","innererror":{"requestId":"r"}}}`, "a", "r", []string{"a"}, true},
		{"the outer id first", `{"error":{"request-id":"o","innerError":{"request-id":"i"}}}`, "", "o", nil, true},
		{"nested", `{"error":{"code":"a","innerError":{"code":"b","innerError":{"code":"c"}}}}`, "a", "", []string{"c", "b", "a"}, true},
		{"an empty outer code", `{"error":{"code":"","innerError":{"code":"b"}}}`, "b", "", []string{"b"}, true},
		{"inner error is a list", `{"error":{"code":"a","innerError":[1]}}`, "a", "", []string{"a"}, true},
		{"inner error is null", `{"error":{"code":"a","innerError":null}}`, "a", "", []string{"a"}, true},
		{"ids that aren't", `{"error":{"innerError":{"request-id":{"x":1}}}}`, "", "", nil, true},
		{"error is null", `{"error":null}`, "", "", nil, false},
		{"no error", `{"value":[]}`, "", "", nil, false},
		{"nothing", ``, "", "", nil, false},
		{"a page", `<html>`, "", "", nil, false},
	}
	for _, tc := range cases {
		env, ok := parseEnvelope([]byte(tc.body))
		if ok != tc.ok || env.code() != tc.code || env.requestID() != tc.requestID {
			t.Errorf("%s: %q %q %t", tc.name, env.code(), env.requestID(), ok)
		}
		if diff := cmp.Diff(tc.insideOut, env.codesInsideOut()); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// Nobody may make us follow inner errors without end.
func TestEnvelopeDepth(t *testing.T) {
	t.Parallel()
	const depth = 2000
	body := `{"error":` + strings.Repeat(`{"code":"x","innerError":`, depth) + `{}` + strings.Repeat(`}`, depth) + `}`
	env, ok := parseEnvelope([]byte(body))
	if n := len(env.codesInsideOut()); !ok || n != maxInner+1 {
		t.Errorf("%d layers, %t", n, ok)
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0d73eea2-5671-4c2c-b9db-8dd0220c26aa": "0d73eea2-5671-4c2c-b9db-8dd0220c26aa",
		"a b\r\nc\x00d\u202e":                  "abcd",
		strings.Repeat("x", 500):               strings.Repeat("x", 64),
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Whatever a server answers, there is a verdict from the closed sets, and nothing of the answer in the error's text.
func FuzzClassify(f *testing.F) {
	f.Add(404, `{"error":{"code":"ErrorItemNotFound","message":"SECRET"}}`)
	f.Add(400, `{"error":{"code":"ExtensionError","message":"Operation: Create; Exception: [Status Code: BadRequest; Reason: SECRET]"}}`)
	f.Add(503, `SECRET`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, op := range operations() {
			e := classify(op, status, http.Header{"Retry-After": {body}}, []byte(body), time.Unix(0, 0))
			if e.Kind == "" || e.Reason == "" || e.RetryAfter < 0 || e.RetryAfter > longestWait || e.MaxLifetime < 0 {
				t.Errorf("%s %d: %+v", op, status, e)
			}
			if op == opBatch && e.Kind == KindNotFound {
				t.Errorf("a batch took all its events for missing: %+v", e)
			}
			if strings.Contains(e.Error(), "SECRET") && !strings.Contains(e.RequestID, "SECRET") {
				t.Errorf("%s", e)
			}
		}
	})
}
