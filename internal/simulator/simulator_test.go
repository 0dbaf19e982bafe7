package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	contoso = "11111111-1111-4111-8111-111111111111"
	appID   = "22222222-2222-4222-8222-222222222222"
)

// office is a running simulator with one organisation, people and a token of the application.
type office struct {
	*Simulator

	url    string
	token  string
	client *http.Client
}

// newOffice starts a simulator over HTTP and delivers its notifications until the test ends.
func newOffice(t *testing.T, cfg Config) *office {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := startOffice(t, s)
	if _, err := s.AddTenant(Tenant{ID: contoso, Name: "Contoso", Domain: "contoso.example"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace", "Alan"} {
		o.person(t, name)
	}
	o.token = o.login(t)
	return o
}

func startOffice(t *testing.T, s *Simulator) *office {
	t.Helper()
	srv := httptest.NewServer(s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	o := &office{Simulator: s, url: srv.URL, client: &http.Client{Transport: conforming{t, &http.Transport{}}}}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		o.client.CloseIdleConnections()
		srv.Close()
	})
	return o
}

// person adds somebody.
func (o *office) person(t *testing.T, name string) {
	t.Helper()
	if _, err := o.AddUser(User{Tenant: contoso, Name: name, Email: email(name)}); err != nil {
		t.Fatal(err)
	}
}

func email(name string) string { return strings.ToLower(name) + "@contoso.example" }

func (o *office) login(t *testing.T) string {
	t.Helper()
	_, body := o.form(t, contoso, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {"s"}, "scope": {graphAudience + "/.default"},
	})
	token, _ := body["access_token"].(string)
	if token == "" {
		t.Fatalf("no token: %v", body)
	}
	return token
}

func (o *office) form(t *testing.T, tenant string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/"+tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return o.do(t, req)
}

func (o *office) do(t *testing.T, req *http.Request) (int, map[string]any) {
	t.Helper()
	resp, err := o.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if len(bytes.TrimSpace(b)) > 0 {
		if err := json.Unmarshal(b, &body); err != nil {
			t.Fatalf("%s %s: %q is not an object: %v", req.Method, req.URL.Path, b, err)
		}
	}
	return resp.StatusCode, body
}

// option changes a request before it is sent.
type option func(*http.Request)

func with(name, value string) option { return func(r *http.Request) { r.Header.Add(name, value) } }

func immutable() option { return with("Prefer", `IdType="ImmutableId"`) }

// request builds a Graph request of the application.
func (o *office) request(t *testing.T, method, path string, body any, opts ...option) *http.Request {
	t.Helper()
	var src io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		src = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		src = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, o.url+"/v1.0"+path, src)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, opt := range opts {
		opt(req)
	}
	return req
}

// graph makes a Graph call and wants a status.
func (o *office) graph(t *testing.T, want int, method, path string, body any, opts ...option) map[string]any {
	t.Helper()
	status, answer := o.do(t, o.request(t, method, path, body, opts...))
	if status != want {
		t.Fatalf("%s %s: %d, want %d: %v", method, path, status, want, answer)
	}
	return answer
}

// code is the code of an error answer.
func code(body map[string]any) string {
	e, _ := body["error"].(map[string]any)
	c, _ := e["code"].(string)
	return c
}

func field(t *testing.T, body map[string]any, path ...string) any {
	t.Helper()
	var v any = body
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%v: no %s in %v", path, p, v)
		}
		v = m[p]
	}
	return v
}

func text(t *testing.T, body map[string]any, path ...string) string {
	t.Helper()
	s, ok := field(t, body, path...).(string)
	if !ok {
		t.Fatalf("%v is not a string in %v", path, body)
	}
	return s
}

// monday is a moment in the future on which meetings stand.
func monday() time.Time {
	t := time.Now().UTC().AddDate(0, 0, 7).Truncate(24 * time.Hour).Add(9 * time.Hour)
	for t.Weekday() != time.Monday {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

// pair books a meeting of Ada, who organizes, and Grace.
func (o *office) pair(t *testing.T) Booked {
	t.Helper()
	b, err := o.Book(Meeting{
		Organizer: email("Ada"), Attendees: []string{email("Grace")}, Subject: "Mentoring", Start: monday(), End: monday().Add(30 * time.Minute), Online: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// series books a weekly series of five.
func (o *office) series(t *testing.T) Booked {
	t.Helper()
	b, err := o.Book(Meeting{
		Organizer: email("Ada"), Attendees: []string{email("Grace")}, Subject: "Weekly", Start: monday(), End: monday().Add(time.Hour), Repeat: "weekly", Count: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Instances) != 5 {
		t.Fatalf("%d instances, want 5", len(b.Instances))
	}
	return b
}

// newServer serves a handler until the test ends.
func newServer(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// door is an endpoint for notifications that echoes validation tokens and keeps what it gets.
type door struct {
	url string
	// answer is asked for a status, nil answers 202.
	answer func(items []map[string]any) int

	mu    sync.Mutex
	items []map[string]any
	posts int
	got   chan struct{}
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{got: make(chan struct{}, 1000)}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if token := r.URL.Query().Get("validationToken"); token != "" {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, token)
		return
	}
	var in struct {
		Value []map[string]any `json:"value"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status := http.StatusAccepted
	if d.answer != nil {
		status = d.answer(in.Value)
	}
	d.mu.Lock()
	d.posts++
	if status < 300 {
		d.items = append(d.items, in.Value...)
	}
	d.mu.Unlock()
	w.WriteHeader(status)
	d.got <- struct{}{}
}

func (d *door) all() []map[string]any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]map[string]any(nil), d.items...)
}

// subscribe subscribes a person's events for the door.
func (o *office) subscribe(t *testing.T, d *door, person string, opts ...option) map[string]any {
	t.Helper()
	return o.graph(t, http.StatusCreated, http.MethodPost, "/subscriptions", map[string]any{
		"changeType": "created,updated,deleted", "notificationUrl": d.url + "/n", "lifecycleNotificationUrl": d.url + "/l",
		"resource": "users/" + o.id(t, person) + "/events", "expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime),
		"clientState": "secret",
	}, opts...)
}

func (o *office) id(t *testing.T, person string) string {
	t.Helper()
	o.world.mu.RLock()
	defer o.world.mu.RUnlock()
	box, err := o.world.person(person)
	if err != nil {
		t.Fatal(err)
	}
	return box.id
}

// settle waits until all notifications are settled.
func (o *office) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := o.Settled(ctx); err != nil {
		t.Fatal("notifications not settled:", err)
	}
}

func TestFromInvitationToNotification(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	sub := o.subscribe(t, d, email("Ada"), immutable())
	b := o.pair(t)
	o.settle(t)
	if err := o.Accept(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	o.settle(t)
	items := d.all()
	if len(items) != 2 {
		t.Fatalf("%d notifications, want 2: %v", len(items), items)
	}
	if got := text(t, items[0], "changeType"); got != "created" {
		t.Errorf("first changeType %q", got)
	}
	if got := text(t, items[1], "resourceData", "id"); got != b.ID {
		t.Errorf("notification names %q, want %q", got, b.ID)
	}
	if got, want := text(t, items[1], "subscriptionId"), text(t, sub, "id"); got != want {
		t.Errorf("subscription %q, want %q", got, want)
	}
	event := o.graph(t, http.StatusOK, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID+"?$select=attendees,iCalUId", nil, immutable())
	if text(t, event, "id") != b.ID || text(t, event, "iCalUId") != b.ICalUID {
		t.Errorf("event %v, want id %s", event, b.ID)
	}
	if got, want := text(t, items[1], "resourceData", "@odata.etag"), text(t, event, "@odata.etag"); got != want {
		t.Errorf("etag in the notification %q, of the event %q", got, want)
	}
	people, _ := event["attendees"].([]any)
	if len(people) != 1 || text(t, people[0].(map[string]any), "status", "response") != "accepted" {
		t.Errorf("attendees %v", people)
	}
	if n := o.Reads(b.ID); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
}
