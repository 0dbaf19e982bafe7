package workers_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/graph"
	"pairsync/internal/queue"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
	"pairsync/webhook"
	"pairsync/workers"
)

// house is the whole way of a change: an Outlook with people in it, the door, a JetStream, a PostgreSQL, and the workers.
type house struct {
	t        *testing.T
	sim      *simulator.Simulator
	store    *model.Store
	nc       *nats.Conn
	broker   *queue.Broker
	client   *graph.Client
	registry *prometheus.Registry
	workers  workers.Config
	logs     *logs
	doorURL  string
	tenant   string
	ada      simulator.User
	grace    simulator.User
	// tamper may answer a Graph call in the simulator's stead.
	tamper atomic.Pointer[http.HandlerFunc]
	hour   atomic.Int64
	linked atomic.Int64
	// lastAct is when somebody last did something in Outlook at random.
	lastAct time.Time
}

// plan says what a house is like; zero values give a plain one.
type plan struct {
	outlook     simulator.Config
	workers     workers.Config
	databaseURL string
	nc          *nats.Conn
	// idle leaves the workers to be started by the test.
	idle bool
}

// pace is how workers behave in tests: like in production, but not as patient.
func pace(c workers.Config) workers.Config {
	if c.NotFoundRetries == nil {
		c.NotFoundRetries = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond}
	}
	if c.DoubtRetries == nil {
		c.DoubtRetries = []time.Duration{50 * time.Millisecond, 150 * time.Millisecond}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.ConfirmAfter, 50 * time.Millisecond},
		{&c.RetryMin, 20 * time.Millisecond},
		{&c.RetryMax, 200 * time.Millisecond},
		{&c.ProbeMin, 100 * time.Millisecond},
		{&c.ProbeMax, 400 * time.Millisecond},
		{&c.RelayInterval, 100 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

func newHouse(t *testing.T, p plan) *house {
	t.Helper()
	h := &house{t: t, registry: prometheus.NewRegistry(), workers: pace(p.workers), logs: &logs{}}
	h.openStore(p.databaseURL)
	if h.nc = p.nc; h.nc == nil {
		h.nc = testbed.NATS(t)
	}
	var err error
	if h.broker, err = queue.Open(t.Context(), h.nc, queue.Config{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	h.openOutlook(p.outlook)
	h.openDoor()
	h.people()
	if !p.idle {
		h.run()
	}
	return h
}

func (h *house) openStore(url string) {
	h.t.Helper()
	if url == "" {
		url = testbed.DatabaseURL(h.t)
	}
	var err error
	if h.store, err = model.Open(h.t.Context(), model.Config{URL: url}); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.store.Close)
}

// openOutlook serves the simulator and makes the client that the workers read it with.
func (h *house) openOutlook(cfg simulator.Config) {
	h.t.Helper()
	transport := &http.Transport{}
	h.t.Cleanup(transport.CloseIdleConnections)
	cfg.Transport = transport
	if cfg.TimeScale == 0 {
		cfg.TimeScale = 100
	}
	var err error
	if h.sim, err = simulator.New(cfg); err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tamper := h.tamper.Load(); tamper != nil {
			(*tamper)(w, r)
			return
		}
		h.sim.ServeHTTP(w, r)
	}))
	h.t.Cleanup(server.Close)
	own := &http.Transport{MaxIdleConnsPerHost: 64}
	h.t.Cleanup(own.CloseIdleConnections)
	h.client, err = graph.New(graph.Config{
		URL: server.URL + "/v1.0", AuthorityURL: server.URL, ClientID: "pairsync", ClientSecret: "secret", Transport: own,
	}, prometheus.NewRegistry(), h.logs.logger())
	if err != nil {
		h.t.Fatal(err)
	}
	testbed.Run(h.t, "the simulator", h.sim.Run)
}

func (h *house) openDoor() {
	h.t.Helper()
	states, err := model.NewClientStates([][]byte{[]byte(strings.Repeat("k", 32))})
	if err != nil {
		h.t.Fatal(err)
	}
	publisher := h.broker.NewPublisher(queue.PublisherConfig{})
	testbed.Run(h.t, "the publisher", publisher.Run)
	door, err := webhook.New(webhook.Config{}, webhook.Deps{
		Publisher: publisher, ClientStates: states, Log: h.logs.logger(), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer(door)
	h.t.Cleanup(server.Close)
	h.doorURL = server.URL
}

// people makes an organisation with two people who know each other.
func (h *house) people() {
	h.t.Helper()
	tenant, err := h.sim.AddTenant(simulator.Tenant{Name: "Contoso", Domain: "contoso.example"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.tenant = tenant.ID
	if _, _, err := h.store.PutTenant(h.t.Context(), model.Tenant{
		ID: tenant.ID, Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide,
	}); err != nil {
		h.t.Fatal(err)
	}
	h.ada, h.grace = h.person("ada"), h.person("grace")
}

// person is a participant of that id with a mailbox in the tenant.
func (h *house) person(id string) simulator.User {
	h.t.Helper()
	u, err := h.sim.AddUser(simulator.User{Tenant: h.tenant, Name: id, Email: id + "@contoso.example"})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, _, err := h.store.PutParticipant(h.t.Context(), model.Participant{Tenant: h.tenant, ID: id, Email: u.Email, Name: id}); err != nil {
		h.t.Fatal(err)
	}
	return u
}

// subscribe has the simulator notify the door of what happens in a mailbox.
func (h *house) subscribe(u simulator.User) graph.Subscription {
	h.t.Helper()
	states, err := model.NewClientStates([][]byte{[]byte(strings.Repeat("k", 32))})
	if err != nil {
		h.t.Fatal(err)
	}
	state, err := states.Sign(u.Tenant, u.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	sub, err := h.client.CreateSubscription(h.t.Context(), u.Tenant, graph.SubscriptionRequest{
		MailboxID: u.ID, NotificationURL: h.doorURL + webhook.NotificationsPath, LifecycleURL: h.doorURL + webhook.LifecyclePath,
		ClientState: state, ExpiresAt: time.Now().Add(2 * time.Hour),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return sub
}

// run starts the workers; they end with the test, or when stop is called.
func (h *house) run() (stop func()) {
	h.t.Helper()
	w, err := workers.New(h.workers, h.deps())
	if err != nil {
		h.t.Fatal(err)
	}
	return testbed.Run(h.t, "the workers", w.Run)
}

func (h *house) deps() workers.Deps {
	return workers.Deps{Store: h.store, Graph: h.client, Broker: h.broker, Log: h.logs.logger(), Registerer: h.registry}
}

// nextHour is an hour that no other meeting of the house has.
func (h *house) nextHour() time.Time {
	return time.Now().UTC().Truncate(time.Hour).Add(time.Duration(48+h.hour.Add(1)) * time.Hour)
}

// meeting books a meeting of ada with grace and makes it a session that has been read once.
func (h *house) meeting() (session string, booked simulator.Booked) {
	h.t.Helper()
	start := h.nextHour()
	booked, err := h.sim.Book(simulator.Meeting{
		Organizer: h.ada.Email, Attendees: []string{h.grace.Email}, Subject: "Mentoring", Start: start, End: start.Add(30 * time.Minute),
		Online: true,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	session = h.link("ada", []string{"grace"}, booked.ID, start)
	h.wait(session, "its first reading", inSync)
	return session, booked
}

// link makes an event a session.
func (h *house) link(organizer string, attendees []string, event string, start time.Time) (session string) {
	h.t.Helper()
	session = "s-" + time.Duration(h.linked.Add(1)).String()
	if _, _, err := h.store.PutSession(h.t.Context(), model.SessionRequest{
		Tenant: h.tenant, ID: session, Organizer: organizer, Attendees: attendees, StartsAt: start, EndsAt: start.Add(30 * time.Minute),
		TimeZone: "Europe/Berlin", Title: "Mentoring", OnlineMeeting: "teams", EventID: event,
	}); err != nil {
		h.t.Fatal(err)
	}
	return session
}

func inSync(s model.Session) bool { return s.State == model.OutlookInSync && s.VerifiedAt != nil }

func cancelled(s model.Session) bool { return s.Status == model.SessionCancelled }

func startsAt(at time.Time) func(model.Session) bool {
	return func(s model.Session) bool { return s.StartsAt.Equal(at) }
}

func answered(person string, want model.Response) func(model.Session) bool {
	return func(s model.Session) bool {
		return slices.ContainsFunc(s.Attendees, func(a model.Attendee) bool { return a.Participant == person && a.RSVP.Response == want })
	}
}

// session is a session as it is stored now.
func (h *house) session(id string) model.Session {
	h.t.Helper()
	s, err := h.store.Session(h.t.Context(), h.tenant, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// wait blocks until a session is as it should be.
func (h *house) wait(session, what string, cond func(model.Session) bool) model.Session {
	h.t.Helper()
	var s model.Session
	defer func() {
		if h.t.Failed() {
			h.t.Logf("session %s: %+v\nlog:\n%s", session, s, h.logs)
		}
	}()
	testbed.Eventually(h.t, "session "+session+": "+what, func(ctx context.Context) bool {
		now, err := h.store.Session(ctx, h.tenant, session)
		if err != nil {
			return false
		}
		s = now
		return cond(s)
	})
	return s
}

// kinds are the kinds of a session's changes in order, booked left out.
func (h *house) kinds(session string) []model.ChangeKind {
	h.t.Helper()
	var kinds []model.ChangeKind
	for _, ch := range h.changes(session) {
		if ch.Kind != model.KindBooked {
			kinds = append(kinds, ch.Kind)
		}
	}
	return kinds
}

func (h *house) changes(session string) []model.Change {
	h.t.Helper()
	changes, err := h.store.SessionChanges(h.t.Context(), h.tenant, session, 0, 500)
	if err != nil {
		h.t.Fatal(err)
	}
	return changes
}

// quiet blocks until every notification is delivered and handled.
func (h *house) quiet() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	if err := h.sim.Settled(ctx); err != nil {
		h.t.Fatalf("notifications: %v", err)
	}
	js, err := jetstream.New(h.nc)
	if err != nil {
		h.t.Fatal(err)
	}
	testbed.Eventually(h.t, "the queue to be empty", func(ctx context.Context) bool {
		s, err := js.Stream(ctx, queue.StreamNotifications)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}

// do fails the test when somebody could not act in Outlook.
func (h *house) do(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("acting in Outlook: %v", err)
	}
}
