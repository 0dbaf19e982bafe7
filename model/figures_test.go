package model_test

import (
	"testing"
	"time"

	"pairsync/model"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	figures := func() model.Figures {
		t.Helper()
		f, err := b.Figures(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	equal(t, "figures of an empty database", figures(), model.Figures{
		Mailboxes: map[model.MailboxStatus]int{model.MailboxUnknown: 3}, Tenants: map[model.TenantStatus]int{model.TenantPendingConsent: 1},
		Subscriptions: map[model.SubscriptionState]int{},
	})
	for _, p := range []string{"p-1", "p-2", "p-3"} {
		l := linkOf("s-" + p)
		l.Organizer, l.Attendees = p, nil
		b.link(t, l)
	}
	b.fail(t, "access_denied")
	soon := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
	subs := b.claim(t)
	b.activate(t, subs[0], soon)
	b.activate(t, subs[1], time.Now().Add(-time.Minute))
	outbox, err := b.OutboxBatch(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.OutboxDone(t.Context(), []int64{outbox[0].Cursor}); err != nil {
		t.Fatal(err)
	}
	equal(t, "figures", figures(), model.Figures{
		Mailboxes: map[model.MailboxStatus]int{model.MailboxUnknown: 2, model.MailboxUnreachable: 1},
		Tenants:   map[model.TenantStatus]int{model.TenantPendingConsent: 1},
		Subscriptions: map[model.SubscriptionState]int{
			model.SubscriptionActive: 1, model.SubscriptionExpired: 1, model.SubscriptionPending: 1,
		},
		EarliestExpiry: &soon, OutboxPending: 2, OutboxOldest: &outbox[1].AppliedAt,
	})
}
