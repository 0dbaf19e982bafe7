package subscriptions

import (
	"context"
	"net/http"
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
)

// TestAnotherPublicURL restarts the renewer with another address: what it has in Graph is made anew there, once, and nobody
// else's is touched. The first look fails.
func TestAnotherPublicURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	ada, grace := w.organizer(contoso, "ada"), w.organizer(contoso, "grace")
	w.books(contoso, "ada", time.Hour)
	w.books(contoso, "grace", time.Hour)
	_, stop := w.runs()
	first, second := w.known(contoso, "ada", ada.ID, ""), w.known(contoso, "grace", grace.ID, "")
	stop()
	w.swept()

	// The same spelt otherwise is the same.
	metric, stop := w.runs(func(c *Config) { c.NotificationURL += "/" })
	testbed.Eventually(t, "a look at where subscriptions lead", func(context.Context) bool {
		return w.sim.Counters().Calls["list_subscriptions"] > 0
	})
	stop()
	if metric(resultMoved) != 0 || w.known(contoso, "ada", ada.ID, "").ID != first.ID {
		t.Error("a subscription moved from here to here")
	}

	fault := w.sim.AddFault(simulator.Fault{Operation: "list_subscriptions", Status: http.StatusServiceUnavailable, Times: 1})
	defer w.sim.RemoveFault(fault)
	moved := newDoor(t, w)
	other, err := w.graph.CreateSubscription(t.Context(), contoso, graph.SubscriptionRequest{
		MailboxID: w.organizer(contoso, "edsger").ID, NotificationURL: w.cfg.NotificationURL, LifecycleURL: w.cfg.LifecycleURL,
		ClientState: "another installation's", ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	metric, _ = w.runs(func(c *Config) {
		c.NotificationURL, c.LifecycleURL = moved.url+"/graph/notifications", moved.url+"/graph/lifecycle"
	})
	for name, was := range map[string]simulator.SubscriptionView{"ada": first, "grace": second} {
		now := w.known(contoso, name, was.Mailbox, was.ID)
		if now.NotificationURL != moved.url+"/graph/notifications" || now.LifecycleURL != moved.url+"/graph/lifecycle" {
			t.Errorf("%s's subscription leads to %s and %s", name, now.NotificationURL, now.LifecycleURL)
		}
	}
	testbed.Eventually(t, "both to be counted", func(context.Context) bool { return metric(resultMoved) == 2 && metric(resultCreated) == 2 })
	if n := metric(resultSilent); n != 0 {
		t.Errorf("%d count as silent", n)
	}
	n := 0
	testbed.Eventually(t, "both sessions to be verified", func(context.Context) bool { n += w.swept(); return n == 2 })
	if subs := w.sim.Subscriptions(); len(subs) != 3 {
		t.Errorf("Graph has %d subscriptions, want the two and another installation's %s", len(subs), other.ID)
	}
}

func TestSameAddress(t *testing.T) {
	t.Parallel()
	const ours = "https://pairsync.example.org/graph/notifications"
	for other, want := range map[string]bool{
		ours: true,
		"https://PAIRSYNC.example.org:443/graph/notifications/": true,
		"https://pairsync.example.org:444/graph/notifications":  false,
		"http://pairsync.example.org/graph/notifications":       false,
		"https://old.example.org/graph/notifications":           false,
		"https://pairsync.example.org/old/graph/notifications":  false,
		"https://pairsync.example.org/\x7f":                     false,
	} {
		if sameAddress(other, ours) != want || sameAddress(ours, other) != want {
			t.Errorf("%q is the same: %v", other, !want)
		}
	}
}
