package graph_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
)

const contoso = "11111111-1111-4111-8111-111111111111"

// outlook is a simulated Outlook and a Client of it; they meet over HTTP only.
type outlook struct {
	*simulator.Simulator

	client     *graph.Client
	ada, grace simulator.User
}

func newOutlook(t *testing.T, cfg simulator.Config) *outlook {
	t.Helper()
	sim, err := simulator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	o := &outlook{Simulator: sim}
	if _, err := sim.AddTenant(simulator.Tenant{ID: contoso, Name: "Contoso", Domain: "contoso.example"}); err != nil {
		t.Fatal(err)
	}
	if o.ada, err = sim.AddUser(simulator.User{Tenant: contoso, Name: "Ada", Email: "ada@contoso.example", TimeZone: "Europe/Berlin"}); err != nil {
		t.Fatal(err)
	}
	if o.grace, err = sim.AddUser(simulator.User{Tenant: contoso, Name: "Grace", Email: "grace@contoso.example"}); err != nil {
		t.Fatal(err)
	}
	o.client, err = graph.New(graph.Config{
		URL: server.URL + "/v1.0", AuthorityURL: server.URL, ClientID: "app", ClientSecret: "secret",
	}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.client.Close)
	return o
}

func (o *outlook) mailbox(u simulator.User) graph.Mailbox {
	return graph.Mailbox{Tenant: contoso, User: u.ID}
}

func (o *outlook) book(t *testing.T, change ...func(*simulator.Meeting)) simulator.Booked {
	t.Helper()
	m := simulator.Meeting{
		Organizer: o.ada.Email, Attendees: []string{o.grace.Email}, Subject: "never read", Online: true,
		Start: time.Date(2027, 7, 1, 9, 0, 0, 0, time.UTC), End: time.Date(2027, 7, 1, 9, 30, 0, 0, time.UTC),
	}
	for _, fn := range change {
		fn(&m)
	}
	b, err := o.Book(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSimulatedEvent(t *testing.T) {
	t.Parallel()
	o := newOutlook(t, simulator.Config{})
	b := o.book(t)
	read := func() graph.Event {
		t.Helper()
		e, err := o.client.Event(t.Context(), o.mailbox(o.ada), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := read()
	start := time.Date(2027, 7, 1, 9, 0, 0, 0, time.UTC)
	if e.ID != b.ID || !e.Start.Equal(start) || !e.End.Equal(start.Add(30*time.Minute)) || e.Type != graph.TypeSingleInstance ||
		e.JoinURL == "" || e.ChangeKey == "" || e.ICalUID == "" || e.LastModified.IsZero() || e.Cancelled {
		t.Errorf("%+v", e)
	}
	if len(e.Attendees) != 1 || !strings.EqualFold(e.Attendees[0].Email, o.grace.Email) || !e.Attendees[0].RespondedAt.IsZero() {
		t.Errorf("%+v", e.Attendees)
	}
	if err := o.Propose(o.grace.Email, b.ID, start.Add(time.Hour), start.Add(90*time.Minute)); err != nil {
		t.Fatal(err)
	}
	a := read().Attendees[0]
	if a.Response != "tentativelyaccepted" && a.Response != "declined" || !a.ProposedStart.Equal(start.Add(time.Hour)) || a.RespondedAt.IsZero() {
		t.Errorf("%+v", a)
	}
	if err := o.Move(b.ID, start.Add(2*time.Hour), start.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	moved := read()
	a = moved.Attendees[0]
	if !moved.Start.Equal(start.Add(2*time.Hour)) || moved.ChangeKey == e.ChangeKey || !a.RespondedAt.IsZero() || !a.ProposedStart.IsZero() {
		t.Errorf("%+v", moved)
	}
	byUID, err := o.client.EventByICalUID(t.Context(), o.mailbox(o.ada), e.ICalUID)
	if err != nil || byUID.ID != b.ID {
		t.Errorf("%+v, %v", byUID, err)
	}
	if err := o.Delete(o.ada.Email, b.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.client.Event(t.Context(), o.mailbox(o.ada), b.ID); graph.KindOf(err) != graph.KindNotFound {
		t.Errorf("got %v", err)
	}
	if _, err := o.client.EventByICalUID(t.Context(), o.mailbox(o.ada), e.ICalUID); graph.KindOf(err) != graph.KindNotFound {
		t.Errorf("got %v", err)
	}
}

func TestSimulatedSeries(t *testing.T) {
	t.Parallel()
	o := newOutlook(t, simulator.Config{})
	b := o.book(t, func(m *simulator.Meeting) { m.Repeat, m.Count = "daily", 60 })
	from := time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)
	events, err := o.client.Instances(t.Context(), o.mailbox(o.ada), b.ID, from, from.AddDate(0, 0, 100))
	if err != nil || len(events) != 60 {
		t.Fatalf("%d instances, %v", len(events), err)
	}
	for _, e := range events {
		if e.SeriesMasterID != b.ID || e.OriginalStart.IsZero() || e.Type != graph.TypeOccurrence {
			t.Fatalf("%+v", e)
		}
	}
	master, err := o.client.Event(t.Context(), o.mailbox(o.ada), b.ID)
	if err != nil || master.Type != graph.TypeSeriesMaster {
		t.Errorf("%+v, %v", master, err)
	}
}

func TestSimulatedBatch(t *testing.T) {
	t.Parallel()
	o := newOutlook(t, simulator.Config{})
	var refs []graph.EventRef
	for range 30 {
		refs = append(refs, graph.EventRef{Mailbox: o.mailbox(o.ada), ID: o.book(t).ID})
	}
	refs = append(refs, graph.EventRef{Mailbox: o.mailbox(o.ada), ID: "AAMkAGone="}, graph.EventRef{Mailbox: o.mailbox(o.grace), ID: "AAMkAGone="})
	o.AddFault(simulator.Fault{Operation: "get_event", Event: refs[3].ID, Times: 1, Status: 429, RetryAfter: "0.01"})
	results := o.client.Events(t.Context(), contoso, refs)
	for i, r := range results {
		switch kind := graph.KindOf(r.Err); {
		case i >= 30 && kind != graph.KindNotFound && kind != graph.KindThrottled:
			t.Errorf("%d: %v", i, r.Err)
		case i == 3 && kind != graph.KindThrottled:
			t.Errorf("%d: %v", i, r.Err)
		case i < 30 && r.Err == nil && r.Event.ID != refs[i].ID:
			t.Errorf("%d: got another event", i)
		}
	}
	if most := o.Counters().MostConcurrent[o.ada.ID]; most > 3 {
		t.Errorf("%d calls at once to one mailbox", most)
	}
}

func TestSimulatedTrouble(t *testing.T) {
	t.Parallel()
	for kind, want := range map[simulator.MailboxKind]string{
		simulator.MailboxAccessDenied: graph.ReasonAccessDenied, simulator.MailboxNotEnabled: graph.ReasonMailboxNotEnabled,
		simulator.MailboxNotSupported: graph.ReasonMailboxNotSupported, simulator.MailboxNone: graph.ReasonNoMailbox,
		simulator.MailboxMoving: graph.ReasonMailboxMoving, simulator.MailboxDeleted: graph.ReasonUserNotFound,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			o := newOutlook(t, simulator.Config{})
			b := o.book(t)
			if err := o.SetMailbox(o.ada.Email, kind); err != nil {
				t.Fatal(err)
			}
			_, err := o.client.Event(t.Context(), o.mailbox(o.ada), b.ID)
			e, ok := errors.AsType[*graph.Error](err)
			if !ok || e.Reason != want || e.RequestID == "" || e.Kind == graph.KindNotFound {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("nobody of that address", func(t *testing.T) {
		t.Parallel()
		o := newOutlook(t, simulator.Config{})
		if id, err := o.client.User(t.Context(), contoso, o.ada.Email); err != nil || id != o.ada.ID {
			t.Errorf("%s, %v", id, err)
		}
		_, err := o.client.User(t.Context(), contoso, "nobody@contoso.example")
		if e, ok := errors.AsType[*graph.Error](err); !ok || e.Kind != graph.KindMailbox || e.Reason != graph.ReasonUserNotFound {
			t.Errorf("got %v", err)
		}
	})
	t.Run("consent", func(t *testing.T) {
		t.Parallel()
		o := newOutlook(t, simulator.Config{})
		b := o.book(t)
		if err := o.SetConsent(contoso, simulator.ConsentWithdrawn); err != nil {
			t.Fatal(err)
		}
		if _, err := o.client.Event(t.Context(), o.mailbox(o.ada), b.ID); graph.KindOf(err) != graph.KindMailbox {
			t.Errorf("withdrawn: %v", err)
		}
		fresh := newOutlook(t, simulator.Config{})
		if err := fresh.SetConsent(contoso, simulator.ConsentMissing); err != nil {
			t.Fatal(err)
		}
		if err := fresh.client.CheckToken(t.Context(), contoso); graph.KindOf(err) != graph.KindTenant {
			t.Errorf("missing: %v", err)
		}
	})
	t.Run("tokens of a moment", func(t *testing.T) {
		t.Parallel()
		o := newOutlook(t, simulator.Config{TokenLifetime: time.Second})
		b := o.book(t)
		for range 3 {
			if _, err := o.client.Event(t.Context(), o.mailbox(o.ada), b.ID); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSimulatedSubscription(t *testing.T) {
	t.Parallel()
	o := newOutlook(t, simulator.Config{})
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.URL.Query().Get("validationToken"))
	}))
	t.Cleanup(echo.Close)
	ask := func(url string, life time.Duration) (graph.Subscription, error) {
		return o.client.CreateSubscription(t.Context(), contoso, graph.SubscriptionRequest{
			MailboxID: o.ada.ID, NotificationURL: url, LifecycleURL: url, ClientState: "cs", ExpiresAt: time.Now().Add(life),
		})
	}
	made, err := ask(echo.URL, 166*time.Hour)
	if err != nil || made.ClientState != "cs" || made.ExpiresAt.Before(time.Now().Add(165*time.Hour)) {
		t.Fatalf("%+v, %v", made, err)
	}
	if floor, err := ask(echo.URL, time.Minute); err != nil || floor.ExpiresAt.Before(time.Now().Add(44*time.Minute)) {
		t.Errorf("the floor: %+v, %v", floor, err)
	}
	_, err = ask(echo.URL, 170*time.Hour)
	if e, ok := errors.AsType[*graph.Error](err); !ok || e.Kind != graph.KindLifetime || e.MaxLifetime != 10070*time.Minute {
		t.Errorf("the ceiling: %v", err)
	}
	if _, err := ask(echo.URL[:strings.LastIndex(echo.URL, ":")]+":1", time.Hour); graph.KindOf(err) != graph.KindHandshake {
		t.Errorf("a deaf endpoint: %v", err)
	}
	list, err := o.client.Subscriptions(t.Context(), contoso)
	if err != nil || len(list) != 2 || !strings.EqualFold(list[0].Resource, "users/"+o.ada.ID+"/events") {
		t.Errorf("%+v, %v", list, err)
	}
	renewed, err := o.client.RenewSubscription(t.Context(), contoso, made.ID, time.Now().Add(100*time.Hour))
	if err != nil || !renewed.ExpiresAt.Before(made.ExpiresAt) {
		t.Errorf("%+v, %v", renewed, err)
	}
	if err := o.client.Reauthorize(t.Context(), contoso, made.ID); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := o.client.DeleteSubscription(t.Context(), contoso, made.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := o.client.RenewSubscription(t.Context(), contoso, made.ID, time.Now().Add(time.Hour)); graph.KindOf(err) != graph.KindNotFound {
		t.Errorf("got %v", err)
	}
}
