package subscriptions

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// An outage shorter than half of a life costs nothing: there are many tries left when it is over.
func TestRenewalsOutliveAnOutage(t *testing.T) {
	t.Parallel()
	for _, fault := range []simulator.Fault{{Status: 503}, {Status: 429, RetryAfter: "0.2"}, {Cut: true}, {Lost: true}} {
		t.Run(fmt.Sprintf("%d %s %t %t", fault.Status, fault.RetryAfter, fault.Cut, fault.Lost), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Config{MinLifetime: -1, GrantLifetime: 6 * time.Second, QuietExpiry: true})
			ada := w.organizer(contoso, "ada")
			w.books(contoso, "ada", time.Hour)
			metric, _ := w.runs()
			sub := w.known(contoso, "ada", ada.ID, "")
			fault.Operation, fault.Times = "update_subscription", 3
			w.sim.AddFault(fault)
			testbed.Eventually(t, "the renewal", func(context.Context) bool { return metric(resultRenewed) > 0 })
			if subs := w.of(ada.ID); len(subs) != 1 || subs[0].ID != sub.ID || !subs[0].ExpiresAt.After(sub.ExpiresAt) {
				t.Errorf("%+v", subs)
			}
			if n := len(w.sim.Faults()); n != 0 {
				t.Errorf("%d faults are left: the outage was never met", n)
			}
		})
	}
}

// An outage longer than a life ends with a new subscription and a look at what was missed.
func TestOutageLongerThanALife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{MinLifetime: -1, GrantLifetime: 2 * time.Second, QuietExpiry: true})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	testbed.Eventually(t, "the first sweep", func(context.Context) bool { return w.swept() == 1 })
	down := w.sim.AddFault(simulator.Fault{Status: 503})
	testbed.Eventually(t, "the lapse", func(context.Context) bool { return w.count(model.SubscriptionExpired) == 1 })
	if p := w.participant(contoso, "ada"); p.MailboxStatus != model.MailboxOK {
		t.Errorf("the mailbox is blamed: %s", p.MailboxStatus)
	}
	w.sim.RemoveFault(down)
	w.known(contoso, "ada", ada.ID, sub.ID)
	testbed.Eventually(t, "the sweep", func(context.Context) bool { return w.swept() == 1 })
	if metric(resultExpired) == 0 || metric(resultUnavailable) == 0 {
		t.Errorf("expired %d, unavailable %d", metric(resultExpired), metric(resultUnavailable))
	}
}

// A process died between writing the row and writing what Graph answered.
func TestCrashWhileCreating(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	state, err := w.states.Sign(contoso, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := w.graph.CreateSubscription(t.Context(), contoso, graph.SubscriptionRequest{
		MailboxID: ada.ID, NotificationURL: w.cfg.NotificationURL, LifecycleURL: w.cfg.LifecycleURL, ClientState: state,
		ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetMailboxID(t.Context(), contoso, "ada", ada.ID); err != nil {
		t.Fatal(err)
	}
	row := model.Subscription{
		Tenant: contoso, Participant: "ada", MailboxID: ada.ID, ClientState: state, State: model.SubscriptionPending,
		GrantedAt: time.Now().Add(-makingTime), ExpiresAt: time.Now().Add(time.Hour), DueAt: time.Now(),
	}
	if err := w.store.SaveSubscription(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	metric, _ := w.runs()
	w.known(contoso, "ada", ada.ID, orphan.ID)
	testbed.Eventually(t, "the creation to be counted", func(context.Context) bool { return metric(resultStranger) > 0 && metric(resultCreated) > 0 })
	if metric(resultStranger) != 1 || metric(resultCreated) != 1 {
		t.Errorf("strangers %d, created %d", metric(resultStranger), metric(resultCreated))
	}
}

// Demands to reauthorize a life of minutes are answered by renewals alone, and never twice within ten minutes of different
// kinds.
func TestReauthorizationOfShortLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{MinLifetime: -1, GrantLifetime: 14 * time.Minute, QuietExpiry: true})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	for i := range 2 {
		if err := w.sim.SendLifecycle(sub.ID, "reauthorizationRequired"); err != nil {
			t.Fatal(err)
		}
		testbed.Eventually(t, "the renewal", func(context.Context) bool { return metric(resultRenewed) == i+1 })
	}
	if metric(resultReauthorized) != 0 || w.sim.Counters().ConflictingRenewals != 0 {
		t.Errorf("reauthorized %d, conflicting %d", metric(resultReauthorized), w.sim.Counters().ConflictingRenewals)
	}
}

// Whoever withdrew their consent is not asked for ever to let us delete.
func TestUnsubscribingWithoutConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{TokenLifetime: time.Second})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", 2*time.Second)
	w.runs()
	w.known(contoso, "ada", ada.ID, "")
	if err := w.sim.SetConsent(contoso, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, "the end of the row", func(context.Context) bool {
		return w.count(model.SubscriptionActive)+w.count(model.SubscriptionFailing)+w.count(model.SubscriptionPending) == 0
	})
}

// Deleting is tried again until Graph takes it.
func TestUnsubscribingThroughAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", 1500*time.Millisecond)
	metric, _ := w.runs()
	w.known(contoso, "ada", ada.ID, "")
	w.sim.AddFault(simulator.Fault{Operation: "delete_subscription", Status: 503, Times: 4})
	testbed.Eventually(t, "the end of the subscription", func(context.Context) bool {
		return len(w.of(ada.ID)) == 0 && w.count(model.SubscriptionActive) == 0
	})
	testbed.Eventually(t, "the end to be counted", func(context.Context) bool { return metric(resultDeleted) > 0 })
	if metric(resultDeleted) != 1 || metric(resultUnavailable) != 4 {
		t.Errorf("deleted %d, unavailable %d", metric(resultDeleted), metric(resultUnavailable))
	}
}
