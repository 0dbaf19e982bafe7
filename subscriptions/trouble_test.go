package subscriptions

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// mailbox waits for the participant's mailbox to be so.
func (w *world) mailbox(participant string, st model.MailboxStatus, reason string) {
	w.t.Helper()
	testbed.Eventually(w.t, fmt.Sprintf("a mailbox that is %s (%s)", st, reason), func(context.Context) bool {
		p := w.participant(contoso, participant)
		return p.MailboxStatus == st && p.MailboxReason == reason
	})
}

func (w *world) tenantIs(st model.TenantStatus, reason string) {
	w.t.Helper()
	testbed.Eventually(w.t, fmt.Sprintf("a tenant that is %s (%s)", st, reason), func(ctx context.Context) bool {
		t, err := w.store.Tenant(ctx, contoso)
		return err == nil && t.Status == st && t.StatusReason == reason
	})
}

// states counts the rows of each state.
func (w *world) count(st model.SubscriptionState) int {
	w.t.Helper()
	f, err := w.store.Figures(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return f.Subscriptions[st]
}

func TestMailboxTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	kinds := map[string]struct {
		kind   simulator.MailboxKind
		reason string
	}{
		"denied":  {simulator.MailboxAccessDenied, "access_denied"},
		"onprem":  {simulator.MailboxNotEnabled, "mailbox_not_enabled"},
		"nothing": {simulator.MailboxNone, "no_mailbox"},
	}
	users := map[string]simulator.User{}
	for name, k := range kinds {
		users[name] = w.organizer(contoso, name)
		if err := w.sim.SetMailbox(users[name].ID, k.kind); err != nil {
			t.Fatal(err)
		}
		w.books(contoso, name, time.Hour)
	}
	metric, _ := w.runs()
	for name, k := range kinds {
		w.mailbox(name, model.MailboxUnreachable, k.reason)
	}
	testbed.Eventually(t, "three failing subscriptions", func(context.Context) bool { return w.count(model.SubscriptionFailing) == 3 })
	sessions, err := w.store.Sessions(t.Context(), model.SessionFilter{Tenant: contoso, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		if s.Status != model.SessionScheduled || s.State != model.OutlookUnreachable {
			t.Errorf("session is %s, %s", s.Status, s.State)
		}
	}
	for name := range kinds {
		if err := w.sim.SetMailbox(users[name].ID, simulator.MailboxOK); err != nil {
			t.Fatal(err)
		}
		w.known(contoso, name, users[name].ID, "")
		w.mailbox(name, model.MailboxOK, "")
	}
	if metric(resultMailbox) < 3 || metric(resultCreated) != 3 {
		t.Errorf("mailbox %d, created %d", metric(resultMailbox), metric(resultCreated))
	}
}

func TestUnknownAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	_, _, err := w.store.PutParticipant(t.Context(), model.Participant{Tenant: contoso, ID: "ghost", Email: "ghost@1111.example"})
	if err != nil {
		t.Fatal(err)
	}
	w.books(contoso, "ghost", time.Hour)
	w.runs()
	w.mailbox("ghost", model.MailboxUnreachable, "user_not_found")
}

// Another address is another mailbox: the old one's subscription ends.
func TestAnotherAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	w.runs()
	w.known(contoso, "ada", ada.ID, "")
	married, err := w.sim.AddUser(simulator.User{Tenant: contoso, Name: "Ada", Email: "lovelace@1111.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.store.PutParticipant(t.Context(), model.Participant{Tenant: contoso, ID: "ada", Email: married.Email}); err != nil {
		t.Fatal(err)
	}
	w.known(contoso, "ada", married.ID, "")
	testbed.Eventually(t, "the old subscription's end", func(context.Context) bool { return len(w.of(ada.ID)) == 0 })
}

func TestConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	if err := w.sim.SetConsent(contoso, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	testbed.Eventually(t, "a failing subscription", func(context.Context) bool { return w.count(model.SubscriptionFailing) == 1 })
	w.tenantIs(model.TenantPendingConsent, "")
	if err := w.sim.SetConsent(contoso, simulator.ConsentGranted); err != nil {
		t.Fatal(err)
	}
	w.known(contoso, "ada", ada.ID, "")
	w.tenantIs(model.TenantConnected, "")
	if metric(resultTenant) == 0 {
		t.Error("no failure of the tenant was counted")
	}
}

func TestOurOwnCredentialFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{Apps: []simulator.App{{ClientID: "app", Secret: "another"}}})
	w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	w.runs()
	w.tenantIs(model.TenantFailing, "secret_wrong")
	testbed.Eventually(t, "a failing subscription", func(context.Context) bool { return w.count(model.SubscriptionFailing) == 1 })
}

func TestSickDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.door.shut.Store(true)
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	testbed.Eventually(t, "a failing subscription", func(context.Context) bool { return w.count(model.SubscriptionFailing) == 1 })
	if p := w.participant(contoso, "ada"); p.MailboxStatus == model.MailboxUnreachable {
		t.Error("the mailbox is blamed for our door")
	}
	w.door.shut.Store(false)
	w.known(contoso, "ada", ada.ID, "")
	if metric(resultHandshake) == 0 || w.count(model.SubscriptionFailing) != 0 {
		t.Errorf("handshake %d", metric(resultHandshake))
	}
}

func TestThrottledWaitsAsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Status: 429, RetryAfter: "1.5", Times: 1})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	started := time.Now()
	metric, _ := w.runs()
	w.known(contoso, "ada", ada.ID, "")
	if took := time.Since(started); took < 1500*time.Millisecond {
		t.Errorf("waited %s", took)
	}
	if metric(resultThrottled) != 1 || w.sim.Counters().Calls["create_subscription"] != 2 {
		t.Errorf("throttled %d, %d calls", metric(resultThrottled), w.sim.Counters().Calls["create_subscription"])
	}
}

// An organisation whose calls hang must not keep another waiting.
func TestOneTenantsTroubleIsItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.tenant(fabrikam)
	fault := w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Tenant: contoso, Latency: simulator.Duration{Duration: 10 * time.Second}})
	for i := range 30 {
		name := fmt.Sprintf("slow-%d", i)
		w.organizer(contoso, name)
		w.books(contoso, name, time.Hour)
	}
	_, stop := w.runs(func(c *Config) { c.Concurrency, c.TenantConcurrency, c.Grace = 4, 2, 50*time.Millisecond })
	testbed.Eventually(t, "calls that hang", func(context.Context) bool { return w.sim.Counters().Calls["create_subscription"] >= 2 })
	grace := w.organizer(fabrikam, "grace")
	w.books(fabrikam, "grace", time.Hour)
	booked := time.Now()
	w.known(fabrikam, "grace", grace.ID, "")
	if took := time.Since(booked); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	w.sim.RemoveFault(fault)
	stop() // The grace cuts the calls that hang.
}

// Several renewers share the work: nobody subscribes twice.
func TestRenewersShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	const n = 40
	for i := range n {
		name := fmt.Sprintf("p-%d", i)
		w.organizer(contoso, name)
		w.books(contoso, name, time.Hour)
	}
	var metrics []func(result) int
	for range 3 {
		metric, _ := w.runs()
		metrics = append(metrics, metric)
	}
	testbed.Eventually(t, "all subscriptions", func(context.Context) bool { return w.count(model.SubscriptionActive) == n })
	created := 0
	for _, metric := range metrics {
		created += metric(resultCreated)
	}
	if created != n || len(w.sim.Subscriptions()) != n || w.sim.Counters().Calls["create_subscription"] != n {
		t.Errorf("created %d, alive %d, asked %d", created, len(w.sim.Subscriptions()), w.sim.Counters().Calls["create_subscription"])
	}
}

// What is in hand when the process is told to end is finished.
func TestShutdownFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Latency: simulator.Duration{Duration: 500 * time.Millisecond}})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	_, stop := w.runs()
	testbed.Eventually(t, "the call", func(context.Context) bool { return w.sim.Counters().Calls["create_subscription"] == 1 })
	stop()
	if p := w.participant(contoso, "ada"); p.Subscription == nil || len(w.of(ada.ID)) != 1 {
		t.Errorf("%+v", p)
	}
}

// What can't be finished in time is given back, and the next process settles it at once.
func TestShutdownGivesBackTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	fault := w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Latency: simulator.Duration{Duration: 3 * time.Second}})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	_, stop := w.runs(func(c *Config) { c.Grace = 20 * time.Millisecond })
	testbed.Eventually(t, "the call", func(context.Context) bool { return w.sim.Counters().Calls["create_subscription"] == 1 })
	stop()
	w.sim.RemoveFault(fault)
	w.runs()
	w.known(contoso, "ada", ada.ID, "")
}

func TestNewNamesWhatCannotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	for name, change := range map[string]func(*Config){
		"no URL":           func(c *Config) { c.NotificationURL = "" },
		"no lifecycle URL": func(c *Config) { c.LifecycleURL = "" },
		"negative":         func(c *Config) { c.Lease = -1 },
		"pair":             func(c *Config) { c.RetryMin, c.RetryMax = 2, 1 },
		"tenant above all": func(c *Config) { c.Concurrency, c.TenantConcurrency = 1, 2 },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := New(cfg, Deps{Store: w.store}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(w.cfg, Deps{}); err == nil {
		t.Error("accepted without dependencies")
	}
}

// What is noted on a row while its subscription is being created, a second session for one, calls other renewers to it.
func TestNobodyJoinsACreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Latency: simulator.Duration{Duration: time.Second}})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	for range 3 {
		w.runs()
	}
	testbed.Eventually(t, "the creation", func(context.Context) bool { return w.sim.Counters().Calls["create_subscription"] == 1 })
	for range 5 {
		w.books(contoso, "ada", 2*time.Hour)
	}
	w.known(contoso, "ada", ada.ID, "")
	if n := w.sim.Counters().Calls["create_subscription"]; n != 1 {
		t.Errorf("%d creations", n)
	}
}
