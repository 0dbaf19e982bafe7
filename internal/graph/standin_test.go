package graph

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

const (
	tenantA  = "aaaaaaaa-0000-4000-8000-000000000001"
	mailboxA = "bbbbbbbb-0000-4000-8000-000000000001"
	mailboxB = "bbbbbbbb-0000-4000-8000-000000000002"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// standIn is an Entra and a Graph in one server, as far as a test needs them.
type standIn struct {
	server *httptest.Server
	// graph answers what is below /v1.0.
	graph http.HandlerFunc
	// token answers the token endpoint; nil hands out token-1, token-2 …
	token  http.HandlerFunc
	issued atomic.Int64

	mu    sync.Mutex
	calls []seenRequest
}

// seenRequest is one request to Graph as it came.
type seenRequest struct {
	Method, Path, RawQuery string
	Header                 http.Header
	Body                   string
	ContentLength          int64
}

func newStandIn(tb testing.TB, graph http.HandlerFunc) *standIn {
	tb.Helper()
	s := &standIn{graph: graph}
	s.server = httptest.NewServer(s)
	tb.Cleanup(s.server.Close)
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		tenant := strings.Split(r.URL.Path, "/")[1]
		writeJSON(w, map[string]string{
			"issuer":                 s.server.URL + "/" + tenant + "/v2.0",
			"authorization_endpoint": s.server.URL + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint":         s.server.URL + "/" + tenant + "/oauth2/v2.0/token",
		})
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		if s.token != nil {
			s.token(w, r)
			return
		}
		s.issue(w)
	case strings.HasPrefix(r.URL.Path, "/v1.0/"):
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.calls = append(s.calls, seenRequest{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), string(body), r.ContentLength})
		s.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.graph(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *standIn) issue(w http.ResponseWriter) {
	writeJSON(w, map[string]any{
		"token_type": "Bearer", "expires_in": 3599, "access_token": fmt.Sprintf("token-%d", s.issued.Add(1)),
	})
}

func (s *standIn) seen() []seenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seenRequest(nil), s.calls...)
}

func (s *standIn) config() Config {
	return Config{URL: s.server.URL + "/v1.0", AuthorityURL: s.server.URL, ClientID: "app", ClientSecret: "hush", Timeout: 5 * time.Second}
}

func (s *standIn) client(tb testing.TB, change ...func(*Config)) *Client {
	tb.Helper()
	cfg := s.config()
	for _, fn := range change {
		fn(&cfg)
	}
	c, err := New(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// fixture reads a published body, or skips the test where they are not at hand.
func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(sharedDir(tb), "fixtures", name))
	if err != nil {
		tb.Skipf("published payloads are not at hand: %v", err)
	}
	return b
}

// sharedDir is the folder of background material beside the repository.
func sharedDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(dir), "shared")
		}
		if dir == filepath.Dir(dir) {
			tb.Skip("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// newBare serves nothing but fn, and gives its URL.
func newBare(tb testing.TB, fn http.HandlerFunc) string {
	tb.Helper()
	server := httptest.NewServer(fn)
	tb.Cleanup(server.Close)
	return server.URL
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
