package model_test

import (
	"context"
	"testing"
	"time"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// claim claims every subscription that is due, for a minute.
func (b *bed) claim(tb testing.TB) []model.Subscription {
	tb.Helper()
	due, err := b.SubscriptionsDue(tb.Context(), 100, time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	return due
}

// activate saves a subscription as Graph granted it, due in an hour.
func (b *bed) activate(tb testing.TB, s model.Subscription, expires time.Time) {
	tb.Helper()
	s.GraphID, s.ClientState, s.State = "graph-"+s.Participant, "proof", model.SubscriptionActive
	s.ExpiresAt, s.GrantedAt, s.DueAt = expires, time.Now(), time.Now().Add(time.Hour)
	s.Lifecycle, s.Silent = "", false
	b.save(tb, s)
}

func (b *bed) save(tb testing.TB, s model.Subscription) {
	tb.Helper()
	if err := b.SaveSubscription(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
}

func (b *bed) nextSubscription(tb testing.TB) (time.Time, bool) {
	tb.Helper()
	at, ok, err := b.NextSubscriptionDue(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return at, ok
}

func TestSubscriptionIsWantedWithTheFirstSession(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	if _, ok := b.nextSubscription(t); ok || len(b.claim(t)) > 0 {
		t.Error("a subscription is due though nobody organises anything")
	}
	b.link(t, linkOf("s"))
	if at, ok := b.nextSubscription(t); !ok || at.After(time.Now().Add(time.Second)) {
		t.Errorf("next due %v, %v", at, ok)
	}
	due := b.claim(t)
	if len(due) != 1 {
		t.Fatalf("due: %+v", due)
	}
	equal(t, "subscription", due[0], model.Subscription{
		Tenant: "t", Participant: "p-1", Email: "ada@contoso.example", State: model.SubscriptionPending, Wanted: true,
		DueAt: due[0].DueAt,
	})
	if again := b.claim(t); len(again) > 0 {
		t.Errorf("claimed twice: %+v", again)
	}
	if at, _ := b.nextSubscription(t); at.Before(time.Now().Add(30 * time.Second)) {
		t.Errorf("due at %v though it is claimed for a minute", at)
	}
}

// TestSubscriptionOfPastSessionsIsNotWanted: nobody's calendar is watched for what is over.
func TestSubscriptionOfPastSessionsIsNotWanted(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	l := linkOf("s")
	l.StartsAt, l.EndsAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	b.link(t, l)
	for _, s := range b.claim(t) {
		if s.Wanted {
			t.Errorf("wanted for a session that is over: %+v", s)
		}
	}
}

func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.link(t, linkOf("s"))
	due, err := b.SubscriptionsDue(t.Context(), 1, 50*time.Millisecond)
	if err != nil || len(due) != 1 {
		t.Fatalf("claimed %v, %v", due, err)
	}
	b.claimed(t, "the row of a renewer that died")
}

// claimed waits until exactly one subscription can be claimed.
func (b *bed) claimed(tb testing.TB, what string) model.Subscription {
	tb.Helper()
	var due []model.Subscription
	testbed.Eventually(tb, what, func(ctx context.Context) bool {
		var err error
		if due, err = b.SubscriptionsDue(ctx, 10, time.Minute); err != nil {
			tb.Fatal(err)
		}
		return len(due) > 0
	})
	if len(due) != 1 {
		tb.Fatalf("due: %+v", due)
	}
	return due[0]
}

// TestSubscriptionIsUnwantedAfterTheLastSession: the end of the last session makes the row due by itself, also when that end
// was moved forward; and a session that people moved to later keeps it.
func TestSubscriptionIsUnwantedAfterTheLastSession(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	b.activate(t, b.claim(t)[0], tomorrow(20))
	if at, _ := b.nextSubscription(t); at.Before(time.Now().Add(30 * time.Minute)) {
		t.Fatalf("due at %v though all is well", at)
	}

	o := eventOf(s, 2)
	o.StartsAt, o.EndsAt = time.Now().Add(-time.Hour), time.Now().Add(300*time.Millisecond)
	s = b.commit(t, reading(s, o)).Session
	if at, _ := b.nextSubscription(t); !at.Equal(s.EndsAt) {
		t.Errorf("due at %v, want the session's end %v", at, s.EndsAt)
	}
	sub := b.claimed(t, "the end of the last session")
	if sub.Wanted {
		t.Errorf("still wanted: %+v", sub)
	}
	if err := b.DeleteSubscription(t.Context(), "t", "p-1"); err != nil {
		t.Fatal(err)
	}
	if at, ok := b.nextSubscription(t); ok {
		t.Errorf("a deleted row is due at %v", at)
	}

	o = eventOf(s, 3)
	o.StartsAt, o.EndsAt = tomorrow(9), tomorrow(10)
	b.commit(t, reading(s, o))
	if due := b.claim(t); len(due) != 1 || !due[0].Wanted {
		t.Errorf("after the session moved to tomorrow: %+v", due)
	}
}

func TestSubscriptionFollowsCancellation(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	b.activate(t, b.claim(t)[0], tomorrow(20))

	o := eventOf(s, 2)
	o.Cancelled = true
	s = b.commit(t, reading(s, o)).Session
	due := b.claim(t)
	if len(due) != 1 || due[0].Wanted {
		t.Fatalf("after the cancellation: %+v", due)
	}
	b.save(t, due[0])
	b.commit(t, reading(s, eventOf(s, 3)))
	if due = b.claim(t); len(due) != 1 || !due[0].Wanted {
		t.Errorf("after the reinstatement: %+v", due)
	}
}

// TestNewSessionWhileUnsubscribing: a session that is linked after a renewer found the mailbox unwanted is not forgotten.
func TestNewSessionWhileUnsubscribing(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(*bed, model.Subscription) error{
		"deleting": func(b *bed, s model.Subscription) error {
			return b.DeleteSubscription(t.Context(), s.Tenant, s.Participant)
		},
		"saving": func(b *bed, s model.Subscription) error {
			s.DueAt = tomorrow(0)
			return b.SaveSubscription(t.Context(), s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			l := linkOf("over")
			l.StartsAt, l.EndsAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
			b.link(t, l)
			sub := b.claim(t)[0]
			b.link(t, linkOf("new"))
			if due := b.claim(t); len(due) > 0 {
				t.Fatalf("claimed twice: %+v", due)
			}
			if err := finish(b, sub); err != nil {
				t.Fatal(err)
			}
			if due := b.claim(t); len(due) != 1 || !due[0].Wanted {
				t.Errorf("after a new session: %+v", due)
			}
		})
	}
}

func TestLifecycleReceived(t *testing.T) {
	t.Parallel()
	const reauthorize, removed, missed = model.LifecycleReauthorizationRequired, model.LifecycleSubscriptionRemoved, model.LifecycleMissed
	for name, tt := range map[string]struct {
		events []model.LifecycleEvent
		want   model.LifecycleEvent
	}{
		"one":                       {[]model.LifecycleEvent{missed}, missed},
		"removal outlasts":          {[]model.LifecycleEvent{removed, reauthorize, missed}, removed},
		"reauthorisation outlasts":  {[]model.LifecycleEvent{reauthorize, missed}, reauthorize},
		"what is worse takes over":  {[]model.LifecycleEvent{missed, reauthorize, removed}, removed},
		"nothing was ever received": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.resolved(t)
			b.link(t, linkOf("s"))
			b.activate(t, b.claim(t)[0], tomorrow(20))
			for _, ev := range tt.events {
				for _, from := range []string{"graph-p-1", "stranger"} {
					if err := b.LifecycleReceived(t.Context(), "t", "mailbox-1", from, ev); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.LifecycleReceived(t.Context(), "t", "mailbox-2", "graph-p-1", ev); err != nil {
					t.Fatal(err)
				}
			}
			due := b.claim(t)
			if len(due) != min(1, len(tt.events)) || len(due) == 1 && due[0].Lifecycle != tt.want {
				t.Errorf("due: %+v", due)
			}
		})
	}
}

// TestLifecycleWhileRenewing: an event that comes while a renewer acts is neither overwritten by what it saves nor, when the
// subscription is another one by then, laid to the new one's account.
func TestLifecycleWhileRenewing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	b.link(t, linkOf("s"))
	b.activate(t, b.claim(t)[0], tomorrow(20))
	receive := func() {
		t.Helper()
		if err := b.LifecycleReceived(t.Context(), "t", "mailbox-1", "graph-p-1", model.LifecycleReauthorizationRequired); err != nil {
			t.Fatal(err)
		}
	}
	receive()
	sub := b.claim(t)[0]
	receive()
	sub.Lifecycle, sub.DueAt = "", tomorrow(0)
	b.save(t, sub)
	due := b.claim(t)
	if len(due) != 1 || due[0].Lifecycle != model.LifecycleReauthorizationRequired {
		t.Fatalf("the second event is lost: %+v", due)
	}
	receive()
	sub = due[0]
	sub.Lifecycle, sub.GraphID = "", "another"
	b.save(t, sub)
	if due = b.claim(t); len(due) != 1 || due[0].Lifecycle != "" {
		t.Errorf("the event of the old subscription came to the new one: %+v", due)
	}
	due[0].DueAt = tomorrow(0)
	b.save(t, due[0])
	if due = b.claim(t); len(due) > 0 {
		t.Errorf("due though all is done: %+v", due)
	}
}

// resolved notes the mailbox of Ada, which is mailbox-1.
func (b *bed) resolved(tb testing.TB) {
	tb.Helper()
	if err := b.SetMailboxID(tb.Context(), "t", "p-1", "mailbox-1"); err != nil {
		tb.Fatal(err)
	}
}

func TestMarkSilent(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tt := range map[string]struct {
		granted, changed time.Time
		heard            time.Time
		grace            time.Duration
		inactive         bool
		want             bool
	}{
		"nothing was heard":            {granted: now.Add(-time.Hour), changed: now.Add(-time.Minute), want: true},
		"granted after the change":     {granted: now.Add(-time.Second), changed: now.Add(-time.Minute)},
		"heard since":                  {granted: now.Add(-time.Hour), changed: now.Add(-time.Minute), heard: now.Add(-time.Second)},
		"heard only before":            {granted: now.Add(-time.Hour), changed: now.Add(-time.Minute), heard: now.Add(-2 * time.Minute), want: true},
		"the word may be on its way":   {granted: now.Add(-time.Hour), changed: now.Add(-time.Minute), grace: 2 * time.Minute},
		"there is no living one":       {granted: now.Add(-time.Hour), changed: now.Add(-time.Minute), inactive: true},
		"the grace for it is over now": {granted: now.Add(-time.Hour), changed: now.Add(-time.Minute), grace: 30 * time.Second, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			s := b.link(t, linkOf("s"))
			r := reading(s, eventOf(s, 1))
			if r.ReceivedAt = tt.heard; tt.heard.IsZero() {
				r.Cause = model.CauseSweep
			}
			b.commit(t, r)
			sub := b.claim(t)[0]
			sub.GraphID, sub.State, sub.GrantedAt, sub.DueAt = "g", model.SubscriptionActive, tt.granted, tomorrow(0)
			if tt.inactive {
				sub.State = model.SubscriptionFailing
			}
			b.save(t, sub)
			silent, err := b.MarkSilent(t.Context(), "t", "p-1", tt.changed, tt.grace)
			if err != nil || silent != tt.want {
				t.Fatalf("silent %v, %v", silent, err)
			}
			due := b.claim(t)
			if (len(due) == 1 && due[0].Silent) != tt.want {
				t.Errorf("due: %+v", due)
			}
			if again, err := b.MarkSilent(t.Context(), "t", "p-1", tt.changed, tt.grace); err != nil || again {
				t.Errorf("news twice: %v, %v", again, err)
			}
		})
	}
}

// TestMarkSuperseded marks by Graph's id, also while somebody works on the subscription, and not twice.
func TestMarkSuperseded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.link(t, linkOf("s"))
	b.activate(t, b.claim(t)[0], time.Now().Add(24*time.Hour))
	ids := []string{"somebody-else's", "graph-p-1", ""}
	mark := func(tenant string, want int) {
		t.Helper()
		if n, err := b.MarkSuperseded(t.Context(), tenant, ids); err != nil || n != want {
			t.Errorf("marked %d, %v; want %d", n, err, want)
		}
	}
	mark("u", 0)
	if due := b.claim(t); len(due) > 0 {
		t.Errorf("due: %+v", due)
	}
	mark("t", 1)
	mark("t", 0)
	due := b.claim(t)
	if len(due) != 1 || !due[0].Silent {
		t.Fatalf("due: %+v", due)
	}
	b.activate(t, due[0], time.Now().Add(24*time.Hour))

	if err := b.LifecycleReceived(t.Context(), "t", "", "graph-p-1", model.LifecycleMissed); err != nil {
		t.Fatal(err)
	}
	due = b.claim(t)
	mark("t", 1) // While it is claimed.
	b.activate(t, due[0], time.Now().Add(24*time.Hour))
	if due = b.claim(t); len(due) != 1 || !due[0].Silent {
		t.Errorf("the mark got lost: %+v", due)
	}
}

func TestSaveSubscriptionKeepsEverything(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	b.link(t, linkOf("s"))
	b.claim(t)
	day := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	want := model.Subscription{
		Tenant: "t", Participant: "p-1", Email: "ada@contoso.example", MailboxID: "mailbox-1", GraphID: "g", ClientState: "proof",
		State: model.SubscriptionFailing, Reason: "throttled", ExpiresAt: day, GrantedAt: day, ReauthorizedAt: day.Add(2000),
		RenewedAt: day.Add(3000), Lifecycle: model.LifecycleMissed, Silent: true, Wanted: true, Attempts: 7, DueAt: day.Add(4000),
	}
	b.save(t, want)
	equal(t, "subscription", b.claim(t), []model.Subscription{want})
}

// TestMailboxIDsInAnyCase are one mailbox: a subscription is not taken for another mailbox's for the sake of a letter.
func TestMailboxIDsInAnyCase(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	if err := b.SetMailboxID(t.Context(), "t", "p-1", "0AB"); err != nil {
		t.Fatal(err)
	}
	b.link(t, linkOf("s"))
	sub := b.claim(t)[0]
	sub.MailboxID = "0AB"
	b.activate(t, sub, tomorrow(20))
	if err := b.LifecycleReceived(t.Context(), "t", "0Ab", "graph-p-1", model.LifecycleMissed); err != nil {
		t.Fatal(err)
	}
	due := b.claim(t)
	if len(due) != 1 || due[0].State != model.SubscriptionActive || due[0].MailboxID != "0ab" {
		t.Errorf("due %+v", due)
	}
	if n, err := b.SweepMailbox(t.Context(), "t", "0aB", model.CauseLifecycle); err != nil || n != 1 {
		t.Errorf("%d sessions, %v", n, err)
	}
}
