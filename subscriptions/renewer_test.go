package subscriptions

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestSubscribesWhileSomebodyOrganizes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada := w.organizer(contoso, "ada")
	w.organizer(contoso, "grace")
	metric, _ := w.runs()
	w.books(contoso, "ada", 2*time.Second)
	sub := w.known(contoso, "ada", ada.ID, "")
	tenant, mailbox, ok := w.states.Verify(sub.ClientState)
	if !ok || tenant != contoso || mailbox != ada.ID {
		t.Errorf("the client state proves %s/%s, %t", tenant, mailbox, ok)
	}
	if sub.NotificationURL != w.cfg.NotificationURL || sub.LifecycleURL != w.cfg.LifecycleURL || !sub.Immutable {
		t.Errorf("%+v", sub)
	}
	if life := time.Until(sub.ExpiresAt); life > 166*time.Hour || life < 165*time.Hour {
		t.Errorf("lives for %s", life)
	}
	p := w.participant(contoso, "ada")
	if p.MailboxID != ada.ID || p.MailboxStatus != model.MailboxOK || !p.Subscription.ExpiresAt.Equal(sub.ExpiresAt) {
		t.Errorf("%+v %+v", p, p.Subscription)
	}
	if tn, err := w.store.Tenant(t.Context(), contoso); err != nil || tn.Status != model.TenantConnected {
		t.Errorf("tenant %s, %v", tn.Status, err)
	}
	testbed.Eventually(t, "the sweep after subscribing", func(context.Context) bool { return w.swept() == 1 })
	if n := len(w.sim.Subscriptions()); n != 1 {
		t.Errorf("%d subscriptions: somebody who organizes nothing has one", n)
	}
	testbed.Eventually(t, "the end of the subscription after the last session", func(context.Context) bool {
		return len(w.of(ada.ID)) == 0 && w.participant(contoso, "ada").Subscription == nil
	})
	testbed.Eventually(t, "the end to be counted", func(context.Context) bool { return metric(resultDeleted) > 0 })
	if metric(resultCreated) != 1 || metric(resultDeleted) != 1 {
		t.Errorf("created %d, deleted %d", metric(resultCreated), metric(resultDeleted))
	}
}

// However short the life that Graph grants, it must not lapse.
func TestShortLivesDoNotLapse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{MinLifetime: -1, GrantLifetime: 3 * time.Second})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	until := time.Now().Add(8 * time.Second)
	testbed.Eventually(t, "eight seconds", func(context.Context) bool {
		if subs := w.of(ada.ID); len(subs) != 1 || subs[0].ID != sub.ID {
			t.Fatalf("lapsed: %+v", subs)
		}
		return time.Now().After(until)
	})
	if n := metric(resultRenewed); n < 3 || n > 12 {
		t.Errorf("%d renewals in eight seconds of three-second lives", n)
	}
	if metric(resultCreated) != 1 || w.sim.Counters().ConflictingRenewals != 0 {
		t.Errorf("created %d, conflicting %d", metric(resultCreated), w.sim.Counters().ConflictingRenewals)
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{QuietExpiry: true})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	testbed.Eventually(t, "the first sweep", func(context.Context) bool { return w.swept() == 1 })

	t.Log("missed")
	if err := w.sim.SendLifecycle(sub.ID, "missed"); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, "the sweep after missed", func(context.Context) bool { return w.swept() == 1 })
	if same := w.known(contoso, "ada", ada.ID, ""); same.ID != sub.ID {
		t.Error("a new subscription after missed")
	}

	t.Log("reauthorizationRequired")
	if err := w.sim.SendLifecycle(sub.ID, "reauthorizationRequired"); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, "the reauthorization", func(context.Context) bool { return metric(resultReauthorized) == 1 })
	if same := w.known(contoso, "ada", ada.ID, ""); same.ID != sub.ID || !same.ExpiresAt.Equal(sub.ExpiresAt) {
		t.Errorf("reauthorized into %+v", same)
	}
	if w.swept() != 0 {
		t.Error("a sweep without need")
	}

	t.Log("subscriptionRemoved")
	if err := w.sim.SendLifecycle(sub.ID, "subscriptionRemoved"); err != nil {
		t.Fatal(err)
	}
	next := w.known(contoso, "ada", ada.ID, sub.ID)
	testbed.Eventually(t, "the sweep after the removal", func(context.Context) bool { return w.swept() == 1 })

	t.Log("an event of the old one")
	if err := w.store.LifecycleReceived(t.Context(), contoso, ada.ID, sub.ID, model.LifecycleSubscriptionRemoved); err != nil {
		t.Fatal(err)
	}
	if got := w.known(contoso, "ada", ada.ID, ""); got.ID != next.ID {
		t.Error("an old subscription's event replaced the new one")
	}
	if metric(resultCreated) != 2 || metric(resultGone) != 1 || w.sim.Counters().ConflictingRenewals != 0 {
		t.Errorf("created %d, gone %d", metric(resultCreated), metric(resultGone))
	}
}

// Graph forgets to say that it removed one; the renewal finds out.
func TestRemovedWithoutAWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{MinLifetime: -1, GrantLifetime: 2 * time.Second, QuietExpiry: true})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	testbed.Eventually(t, "the first sweep", func(context.Context) bool { return w.swept() == 1 })
	if err := w.sim.RemoveSubscription(sub.ID, false); err != nil {
		t.Fatal(err)
	}
	w.known(contoso, "ada", ada.ID, sub.ID)
	testbed.Eventually(t, "the sweep", func(context.Context) bool { return w.swept() == 1 })
	if metric(resultGone) != 1 {
		t.Errorf("gone %d", metric(resultGone))
	}
}

func TestSilentIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	testbed.Eventually(t, "the mark", func(ctx context.Context) bool {
		marked, err := w.store.MarkSilent(ctx, contoso, "ada", time.Now().Add(-time.Millisecond), 0)
		return err == nil && marked
	})
	w.known(contoso, "ada", ada.ID, sub.ID)
	if metric(resultSilent) != 1 {
		t.Errorf("silent %d", metric(resultSilent))
	}
}

func TestLearnsTheCeiling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{MaxLifetime: 100 * time.Minute})
	people := []simulator.User{w.organizer(contoso, "ada"), w.organizer(contoso, "grace")}
	metric, _ := w.runs()
	for i, name := range []string{"ada", "grace"} {
		w.books(contoso, name, time.Hour)
		sub := w.known(contoso, name, people[i].ID, "")
		if life := time.Until(sub.ExpiresAt); life < 90*time.Minute || life > 100*time.Minute {
			t.Errorf("lives for %s", life)
		}
	}
	if metric(resultLifetime) != 1 {
		t.Errorf("refused %d times", metric(resultLifetime))
	}
}

func TestRenewalsThatChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{
		MinLifetime: -1, GrantLifetime: 4 * time.Second, QuietExpiry: true, Behaviour: simulator.Behaviour{RenewalsIgnored: true},
	})
	ada := w.organizer(contoso, "ada")
	w.books(contoso, "ada", time.Hour)
	metric, _ := w.runs()
	sub := w.known(contoso, "ada", ada.ID, "")
	next := w.known(contoso, "ada", ada.ID, sub.ID)
	if metric(resultUnchanged) < stuckAfter || next.ClientState == sub.ClientState {
		t.Errorf("unchanged %d", metric(resultUnchanged))
	}
}

// A creation whose answer is lost leaves a subscription that no row knows, and that would deliver everything twice.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		t.Run(fmt.Sprintf("duplicates refused %t", refuse), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Config{Behaviour: simulator.Behaviour{RefuseDuplicateSubscriptions: refuse}})
			w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Lost: true, Times: 1})
			ada := w.organizer(contoso, "ada")
			w.books(contoso, "ada", time.Hour)
			metric, _ := w.runs()
			w.known(contoso, "ada", ada.ID, "")
			if metric(resultStranger)+metric(resultAdopted) != 1 || w.sim.Counters().Calls["create_subscription"] > 3 {
				t.Errorf("strangers %d, adopted %d, %d creations", metric(resultStranger), metric(resultAdopted),
					w.sim.Counters().Calls["create_subscription"])
			}
		})
	}
}

// One that is there already is deleted when it is ours, and nobody else's is touched.
func TestConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{Behaviour: simulator.Behaviour{RefuseDuplicateSubscriptions: true}})
	ada, grace := w.organizer(contoso, "ada"), w.organizer(contoso, "grace")
	other := newDoor(t, w)
	state, err := w.states.Sign(contoso, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	create := func(mailbox, url string) string {
		t.Helper()
		s, err := w.graph.CreateSubscription(t.Context(), contoso, graph.SubscriptionRequest{
			MailboxID: mailbox, NotificationURL: url, LifecycleURL: url, ClientState: state, ExpiresAt: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	ours, theirs := create(ada.ID, w.cfg.NotificationURL), create(grace.ID, other.url)
	w.books(contoso, "ada", time.Hour)
	metric, stop := w.runs()
	w.known(contoso, "ada", ada.ID, ours)
	if metric(resultStranger) != 1 {
		t.Errorf("strangers %d", metric(resultStranger))
	}
	w.books(contoso, "grace", time.Hour)
	testbed.Eventually(t, "the conflict", func(context.Context) bool { return metric(resultConflict) > 0 })
	stop()
	if subs := w.of(grace.ID); len(subs) != 1 || subs[0].ID != theirs {
		t.Errorf("another installation's subscription became %+v", subs)
	}
}

// A creation in doubt is looked for before its mailbox is forgotten.
func TestDoubtIsSettledBeforeForgetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada := w.organizer(contoso, "ada")
	w.sim.AddFault(simulator.Fault{Operation: "create_subscription", Lost: true, Times: 1})
	list := w.sim.AddFault(simulator.Fault{Operation: "list_subscriptions", Status: 503})
	w.books(contoso, "ada", 1500*time.Millisecond)
	metric, _ := w.runs()
	testbed.Eventually(t, "the lost creation", func(context.Context) bool { return len(w.of(ada.ID)) == 1 })
	testbed.Eventually(t, "the end of the session", func(context.Context) bool {
		subs, err := w.store.Sessions(t.Context(), model.SessionFilter{Tenant: contoso, Limit: 10})
		return err == nil && len(subs) == 1 && time.Now().After(subs[0].EndsAt)
	})
	w.sim.RemoveFault(list)
	testbed.Eventually(t, "the stranger's end", func(context.Context) bool { return len(w.of(ada.ID)) == 0 })
	// It is counted a moment after Graph has deleted it.
	testbed.Eventually(t, "the stranger to be counted", func(context.Context) bool { return metric(resultStranger) == 1 })
}

func TestMailboxOf(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		"users/AB-1/events":          "AB-1",
		"/users/AB-1/events/":        "AB-1",
		"Users('AB-1')/Events":       "AB-1",
		"users/AB-1/events?$select=": "AB-1",
		"users/AB-1/messages":        "",
		"users/a/calendars/b/events": "",
		"Users":                      "",
		"me/events":                  "",
		"":                           "",
		"users/events":               "",
	} {
		if got := mailboxOf(resource); !strings.EqualFold(got, want) {
			t.Errorf("%q: %q, want %q", resource, got, want)
		}
	}
}
