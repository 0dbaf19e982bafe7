package graph

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// roundTrips answers in place of a network.
type roundTrips func(*http.Request) (*http.Response, error)

func (fn roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return fn(r) }

func TestPlainAuthority(t *testing.T) {
	t.Parallel()
	const body = `{"issuer":"http://127.0.0.1:8090/t/v2.0","token_endpoint":"http://127.0.0.1:8090/t/token","other":"http://127.0.0.2/"}`
	cases := []struct {
		name, url, wantURL, wantBody string
	}{
		{
			"discovery", "https://127.0.0.1:8090/t/v2.0/.well-known/openid-configuration", "http://127.0.0.1:8090/t/v2.0/.well-known/openid-configuration",
			`{"issuer":"https://127.0.0.1:8090/t/v2.0","token_endpoint":"https://127.0.0.1:8090/t/token","other":"http://127.0.0.2/"}`,
		},
		{"token", "https://127.0.0.1:8090/t/token", "http://127.0.0.1:8090/t/token", body},
		{"another host stays encrypted", "https://login.example/t/token", "https://login.example/t/token", body},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var went string
			p := plainAuthority{host: "127.0.0.1:8090", base: roundTrips(func(r *http.Request) (*http.Response, error) {
				went = r.URL.String()
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
			})}
			req := httptest.NewRequest(http.MethodGet, tc.url, http.NoBody)
			resp, err := p.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || went != tc.wantURL || string(got) != tc.wantBody {
				t.Errorf("went to %s, got %s, %v", went, got, err)
			}
			if req.URL.String() != tc.url {
				t.Errorf("the caller's request became %s", req.URL)
			}
			if tc.wantBody != body && resp.ContentLength != int64(len(tc.wantBody)) {
				t.Errorf("length %d", resp.ContentLength)
			}
		})
	}
}

// A private cloud has an https authority that Microsoft's discovery has never heard of, and nobody is asked about it.
func TestPrivateAuthority(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, plainEvent))
	secure := httptest.NewTLSServer(s)
	t.Cleanup(secure.Close)
	s.server.Close()
	s.server.URL = secure.URL
	var strangers atomic.Int64
	transport := secure.Client().Transport
	watching := roundTrips(func(r *http.Request) (*http.Response, error) {
		if "https://"+r.URL.Host != secure.URL {
			strangers.Add(1)
		}
		return transport.RoundTrip(r)
	})
	c := s.client(t, func(cfg *Config) { cfg.Transport, cfg.UserAgent = watching, "pairsync/1.2" })
	if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); err != nil {
		t.Fatal(err)
	}
	if strangers.Load() != 0 {
		t.Errorf("%d requests went elsewhere", strangers.Load())
	}
	if ua := s.seen()[0].Header.Get("User-Agent"); ua != "pairsync/1.2" {
		t.Errorf("User-Agent %s", ua)
	}
}

func TestCheckedURL(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://graph.microsoft.com/v1.0":  true,
		"https://graph.microsoft.com/v1.0/": true,
		"http://localhost:8090":             true,
		"http://127.8.9.1:8090/v1.0":        true,
		"http://[::1]:8090":                 true,
		"http://10.0.0.1":                   false,
		"http://localhost.example":          false,
		"https://":                          false,
		"ftp://127.0.0.1":                   false,
		"https://x.example#f":               false,
		"https://x.example/?":               true,
		"%":                                 false,
	} {
		u, err := checkedURL("it", raw)
		if (err == nil) != ok {
			t.Errorf("%s: %v", raw, err)
		}
		if ok && strings.HasSuffix(u.String(), "/") && !strings.Contains(raw, "?") {
			t.Errorf("%s became %s", raw, u)
		}
	}
}
