package subscriptions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestMain(m *testing.M) { testbed.Main(m) }

const (
	contoso  = "11111111-1111-4111-8111-111111111111"
	fabrikam = "22222222-2222-4222-8222-222222222222"
)

// world is an Outlook, a database, a door, and a Renewer between them.
type world struct {
	t      *testing.T
	sim    *simulator.Simulator
	store  *model.Store
	states *model.ClientStates
	door   *door
	graph  *graph.Client
	cfg    Config
}

// quick paces a Renewer for tests.
func quick(w *world) Config {
	return Config{
		NotificationURL: w.door.url + "/graph/notifications", LifecycleURL: w.door.url + "/graph/lifecycle",
		Lease: 20 * time.Second, PollInterval: time.Second, RetryMin: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond,
		ProbeMin: 50 * time.Millisecond, ProbeMax: 200 * time.Millisecond,
	}
}

func newWorld(t *testing.T, cfg simulator.Config) *world {
	t.Helper()
	w := &world{t: t, store: testbed.Store(t)}
	var err error
	if w.states, err = model.NewClientStates([][]byte{make([]byte, 32)}); err != nil {
		t.Fatal(err)
	}
	if w.sim, err = simulator.New(cfg); err != nil {
		t.Fatal(err)
	}
	w.door = newDoor(t, w)
	outlook := httptest.NewServer(w.sim)
	t.Cleanup(outlook.Close)
	testbed.Run(t, "the simulator", w.sim.Run)
	if w.graph, err = graph.New(graph.Config{
		URL: outlook.URL + "/v1.0", AuthorityURL: outlook.URL, ClientID: "app", ClientSecret: "secret", Timeout: 10 * time.Second,
	}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.graph.Close)
	w.cfg = quick(w)
	w.tenant(contoso)
	return w
}

func (w *world) tenant(id string) {
	w.t.Helper()
	if _, err := w.sim.AddTenant(simulator.Tenant{ID: id, Name: id[:4], Domain: id[:4] + ".example"}); err != nil {
		w.t.Fatal(err)
	}
	_, _, err := w.store.PutTenant(w.t.Context(), model.Tenant{ID: id, Name: id[:4], OwnerEmail: "it@x.example", Method: model.MethodDomainWide})
	if err != nil {
		w.t.Fatal(err)
	}
}

// organizer makes a person with a mailbox who is in the programme.
func (w *world) organizer(tenant, participant string) simulator.User {
	w.t.Helper()
	u, err := w.sim.AddUser(simulator.User{Tenant: tenant, Name: participant, Email: participant + "@" + tenant[:4] + ".example"})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.store.PutParticipant(w.t.Context(), model.Participant{Tenant: tenant, ID: participant, Email: u.Email}); err != nil {
		w.t.Fatal(err)
	}
	return u
}

// books links a session that ends in so long.
func (w *world) books(tenant, participant string, endsIn time.Duration) {
	w.t.Helper()
	ends := time.Now().Add(endsIn)
	_, _, err := w.store.PutSession(w.t.Context(), model.SessionRequest{
		Tenant: tenant, ID: fmt.Sprintf("s-%s-%d", participant, ends.UnixNano()), Organizer: participant,
		StartsAt: ends.Add(-time.Minute), EndsAt: ends, TimeZone: "UTC", EventID: fmt.Sprintf("ev-%s-%d", participant, ends.UnixNano()),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// runs starts a Renewer until the test, or the returned function, ends it.
func (w *world) runs(change ...func(*Config)) (metric func(result) int, stop func()) {
	w.t.Helper()
	cfg := w.cfg
	for _, fn := range change {
		fn(&cfg)
	}
	r, err := New(cfg, Deps{
		Store: w.store, Graph: w.graph, ClientStates: w.states, Log: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	stop = testbed.Run(w.t, "the renewer", r.Run)
	return func(res result) int { return int(testutil.ToFloat64(r.metrics.renewals.WithLabelValues(string(res)))) }, stop
}

// of is the mailbox's living subscriptions.
func (w *world) of(mailbox string) []simulator.SubscriptionView {
	var found []simulator.SubscriptionView
	for _, s := range w.sim.Subscriptions() {
		if s.Mailbox == mailbox {
			found = append(found, s)
		}
	}
	return found
}

func (w *world) participant(tenant, id string) model.Participant {
	w.t.Helper()
	p, err := w.store.Participant(w.t.Context(), tenant, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// known waits until the participant's row names the one subscription that Graph has, other than not.
func (w *world) known(tenant, participant, mailbox, not string) simulator.SubscriptionView {
	w.t.Helper()
	var subs []simulator.SubscriptionView
	testbed.Eventually(w.t, participant+"'s subscription", func(context.Context) bool {
		subs = w.of(mailbox)
		p := w.participant(tenant, participant)
		return len(subs) == 1 && subs[0].ID != not && p.Subscription != nil && p.Subscription.ID == subs[0].ID
	})
	return subs[0]
}

// swept takes the sessions that are due, so that they are not until the next sweep, and says how many of them are due because
// of the subscription.
func (w *world) swept() int {
	w.t.Helper()
	due, err := w.store.ClaimDue(w.t.Context(), 1000, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, d := range due {
		if d.Cause == model.CauseLifecycle {
			n++
		}
	}
	return n
}

// door is our webhook, as far as a Renewer's work needs it: it echoes handshakes and notes lifecycle events.
type door struct {
	url string
	// shut makes it answer nothing but 503.
	shut atomic.Bool
	// lifecycles counts the lifecycle events that came in.
	lifecycles atomic.Int64
}

func newDoor(t *testing.T, w *world) *door {
	t.Helper()
	d := &door{}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if d.shut.Load() {
			out.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if token := in.URL.Query().Get("validationToken"); token != "" {
			out.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(out, token)
			return
		}
		var body struct {
			Value []struct {
				SubscriptionID string `json:"subscriptionId"`
				ClientState    string `json:"clientState"`
				LifecycleEvent string `json:"lifecycleEvent"`
			} `json:"value"`
		}
		if err := json.NewDecoder(in.Body).Decode(&body); err != nil {
			t.Errorf("the door got nonsense: %v", err)
		}
		for _, item := range body.Value {
			tenant, mailbox, ok := w.states.Verify(item.ClientState)
			if !ok {
				t.Error("the door got a client state that nobody signed")
			}
			if item.LifecycleEvent == "" {
				continue
			}
			d.lifecycles.Add(1)
			err := w.store.LifecycleReceived(in.Context(), tenant, mailbox, item.SubscriptionID, model.LifecycleEvent(item.LifecycleEvent))
			if err != nil {
				t.Errorf("noting a lifecycle event: %v", err)
			}
		}
		out.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}
