package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/console"
	"pairsync/internal/testbed"
	"pairsync/model"
)

const (
	adaTenant   = "11111111-aaaa-4bbb-8ccc-000000000001"
	otherTenant = "22222222-aaaa-4bbb-8ccc-000000000002"
	allToken    = "token-of-the-platform"
	adaToken    = "token-of-one-organisation"
)

// api is a Console behind a real server, with every answer checked against the description.
type api struct {
	t           testing.TB
	store       *model.Store
	server      *httptest.Server
	registry    *prometheus.Registry
	description *description
	// stop ends Run, and with it all streams.
	stop func()
	// logs is what was logged.
	logs   *lines
	sealer *model.Sealer
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startAPI starts a Console on a database of its own.
func startAPI(tb testing.TB, edit ...func(*console.Config)) *api {
	tb.Helper()
	return startAPIOn(tb, testbed.DatabaseURL(tb), edit...)
}

// startAPIOn starts a Console on a migrated database, in a world without Outlook.
func startAPIOn(tb testing.TB, database string, edit ...func(*console.Config)) *api {
	tb.Helper()
	return startAPIWith(tb, database, console.Deps{Calendars: noOutlook{}, Directory: noOutlook{}, SignIn: noOutlook{}}, edit...)
}

// startAPIWith starts a Console on a migrated database with an Outlook.
func startAPIWith(tb testing.TB, database string, deps console.Deps, edit ...func(*console.Config)) *api {
	tb.Helper()
	store, err := model.Open(tb.Context(), model.Config{URL: database, MaxConns: 8})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(store.Close)
	a := &api{t: tb, store: store, registry: prometheus.NewRegistry(), description: loadDescription(tb)}
	cfg := console.Config{Tokens: []console.Token{
		{Name: "platform", Secret: allToken},
		{Name: "organisation", Tenant: strings.ToUpper(adaTenant), Secret: adaToken},
	}}
	for _, e := range edit {
		e(&cfg)
	}
	a.logs = &lines{}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(tb.Output(), a.logs), &slog.HandlerOptions{Level: slog.LevelDebug}))
	a.sealer = newSealer(tb)
	deps.Store, deps.Sealer, deps.Log, deps.Registerer = a.store, a.sealer, log, a.registry
	if deps.Door == nil {
		deps.Door = func(context.Context) error { return nil }
	}
	// Microsoft sends browsers back to an address that the console has to know first.
	a.server = httptest.NewUnstartedServer(nil)
	cfg.PublicURL = &url.URL{Scheme: "http", Host: a.server.Listener.Addr().String()}
	c, err := console.New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	a.server.Config.Handler = c
	a.server.Start()
	tb.Cleanup(a.server.Close)
	a.stop = testbed.Run(tb, "the console", c.Run)
	return a
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is a problem document.
type problem struct {
	Type, Title, Detail, Instance, Field string
	Status                               int
}

// request sends a request and checks that its answer is as described.
func (a *api) request(method, path, token, body string, headers ...string) answer {
	a.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.server.URL+path, reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := *a.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(req)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	a.description.conforms(a.t, method, req.URL, res, raw)
	return answer{status: res.StatusCode, header: res.Header, body: raw}
}

// get and put use the token without limits.
func (a *api) get(path string) answer { a.t.Helper(); return a.request("GET", path, allToken, "") }

func (a *api) post(path, body string) answer {
	a.t.Helper()
	return a.request("POST", path, allToken, body)
}

func (a *api) put(path, body string) answer {
	a.t.Helper()
	return a.request("PUT", path, allToken, body)
}

// want fails the test unless the status is the one wanted.
func (r answer) want(tb testing.TB, status int) answer {
	tb.Helper()
	if r.status != status {
		tb.Fatalf("got %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// refused fails the test unless the answer is a problem of that status which names the field.
func (r answer) refused(tb testing.TB, status int, field string) problem {
	tb.Helper()
	r.want(tb, status)
	p := decode[problem](tb, r)
	if p.Field != field {
		tb.Errorf("the problem names the field %q, want %q: %s", p.Field, field, r.body)
	}
	return p
}

func decode[T any](tb testing.TB, r answer) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		tb.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// The shapes of the contract, as the tests read them.
type (
	changeJSON struct {
		ID, Cursor, Tenant, Session, Kind, Source, Cause string
		Version                                          int64
		After                                            map[string]any
	}
	sessionJSON struct {
		ID, Tenant, Status, Organizer string
		StartsAt                      string `json:"starts_at"`
		Version                       int64
	}
	listJSON[T any] struct {
		Items      []T
		NextCursor *string `json:"next_cursor"`
	}
)

func tenantPath(tenant string) string { return "/v1/tenants/" + tenant }

func participantPath(tenant, id string) string {
	return tenantPath(tenant) + "/participants/" + url.PathEscape(id)
}

func sessionPath(tenant, id string) string {
	return tenantPath(tenant) + "/sessions/" + url.PathEscape(id)
}

const tenantBody = `{"name":"Contoso","owner_email":"owner@contoso.example","method":"domain_wide"}`

// people puts a tenant with participants of the given ids.
func (a *api) people(tenant string, ids ...string) {
	a.t.Helper()
	a.put(tenantPath(tenant), tenantBody)
	for _, id := range ids {
		a.put(participantPath(tenant, id), fmt.Sprintf(`{"email":"%s@contoso.example"}`, id)).want(a.t, 201)
	}
}

// sessionBody is a good session of p-1 and p-2.
func sessionBody(event string, startHour int) string {
	return fmt.Sprintf(`{"organizer":"p-1","attendees":["p-2"],"starts_at":"2099-12-01T%02d:00:00Z","ends_at":"2099-12-01T%02d:30:00Z",
		"time_zone":"Europe/Berlin","title":"Mentoring","online_meeting":"teams","outlook":{"event_id":"%s"}}`, startHour, startHour, event)
}
