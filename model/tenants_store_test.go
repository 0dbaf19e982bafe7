package model_test

import (
	"testing"
	"time"

	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestPutTenant(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	put := model.Tenant{
		ID: "u", Name: "Fabrikam", OwnerEmail: "it@fabrikam.example", Method: model.MethodPerUser,
		CallbackURL: "https://platform.example/hook", Policy: model.Policy{Cancel: model.PolicyAsk},
	}
	saved, created, err := b.PutTenant(ctx, put)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	want := put
	want.Policy.Reschedule, want.Status = model.PolicyApply, model.TenantPendingConsent
	want.Callback = &model.Callback{Status: model.CallbackOK}
	want.CreatedAt, want.UpdatedAt = saved.CreatedAt, saved.UpdatedAt
	equal(t, "tenant", saved, want)

	if changed, err := b.SetTenantStatus(ctx, "u", model.TenantConnected, ""); err != nil || !changed {
		t.Fatalf("connected: news %v, %v", changed, err)
	}
	put.Name, put.Status = "Fabrikam Ltd", model.TenantDisconnected
	saved, created, err = b.PutTenant(ctx, put)
	if err != nil || created {
		t.Fatalf("created again %v, %v", created, err)
	}
	if saved.Name != "Fabrikam Ltd" || saved.Status != model.TenantConnected {
		t.Errorf("name %q, status %q", saved.Name, saved.Status)
	}
	read, err := b.Tenant(ctx, "u")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tenant as read", read, saved)
	all, err := b.Tenants(ctx)
	if err != nil || len(all) != 2 || all[0].ID != "t" || all[1].ID != "u" {
		t.Errorf("tenants %v, %v", all, err)
	}
}

func TestSetTenantStatusKnowsNews(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, tt := range []struct {
		id     string
		status model.TenantStatus
		reason string
		news   bool
	}{
		{"t", model.TenantFailing, "secret_expired", true},
		{"t", model.TenantFailing, "secret_expired", false},
		{"t", model.TenantFailing, "consent_missing", true},
		{"t", model.TenantConnected, "", true},
		{"nobody", model.TenantConnected, "", false},
	} {
		news, err := b.SetTenantStatus(t.Context(), tt.id, tt.status, tt.reason)
		if err != nil || news != tt.news {
			t.Errorf("%s %s %s: news %v, %v", tt.id, tt.status, tt.reason, news, err)
		}
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	_, err := b.Tenant(ctx, "none")
	notFound(t, err, model.ThingTenant, "none")
	_, err = b.Participant(ctx, "t", "none")
	notFound(t, err, model.ThingParticipant, "none")
	_, _, err = b.PutParticipant(ctx, model.Participant{Tenant: "none", ID: "p", Email: "p@contoso.example"})
	notFound(t, err, model.ThingTenant, "none")
	_, err = b.Session(ctx, "t", "none")
	notFound(t, err, model.ThingSession, "none")
	_, err = b.MailboxFailed(ctx, "t", "none", model.MailboxUnreachable, "access_denied", time.Second, time.Minute)
	notFound(t, err, model.ThingParticipant, "none")
	_, err = b.MailboxHealed(ctx, "t", "none")
	notFound(t, err, model.ThingParticipant, "none")
	err = b.SaveSubscription(ctx, model.Subscription{Tenant: "t", Participant: "none", State: model.SubscriptionPending})
	notFound(t, err, model.ThingParticipant, "none")
}

func TestPutParticipant(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	put := model.Participant{
		Tenant: "t", ID: "p-9", Email: "Lin@contoso.example", Name: "Lin",
		Availability: []model.Availability{{Days: []string{"monday"}, From: "09:00", To: "12:00", TimeZone: "Europe/Berlin"}},
	}
	saved, created, err := b.PutParticipant(ctx, put)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	want := put
	want.MailboxStatus, want.CreatedAt, want.UpdatedAt = model.MailboxUnknown, saved.CreatedAt, saved.UpdatedAt
	equal(t, "participant", saved, want)

	if err := b.SetMailboxID(ctx, "t", "p-9", "9A-B"); err != nil {
		t.Fatal(err)
	}
	put.Email, put.Availability = "lin@CONTOSO.example", nil
	saved, created, err = b.PutParticipant(ctx, put)
	if err != nil || created {
		t.Fatalf("created again %v, %v", created, err)
	}
	if saved.MailboxID != "9a-b" || saved.Email != "lin@CONTOSO.example" || len(saved.Availability) != 0 {
		t.Errorf("after a change of case: %+v", saved)
	}
}

// TestAnotherAddressIsAnotherMailbox: what was known of the old mailbox says nothing about the new one, and the subscription of
// the old one is looked at.
func TestAnotherAddressIsAnotherMailbox(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	b.link(t, linkOf("s"))
	if err := b.SetMailboxID(ctx, "t", "p-1", "mailbox-1"); err != nil {
		t.Fatal(err)
	}
	sub := b.claim(t)[0]
	b.activate(t, sub, time.Now().Add(time.Hour))
	if _, err := b.MailboxFailed(ctx, "t", "p-1", model.MailboxUnreachable, "access_denied", time.Hour, time.Hour); err != nil {
		t.Fatal(err)
	}
	saved, _, err := b.PutParticipant(ctx, model.Participant{Tenant: "t", ID: "p-1", Email: "ada@fabrikam.example"})
	if err != nil {
		t.Fatal(err)
	}
	if saved.MailboxID != "" || saved.MailboxStatus != model.MailboxUnknown || saved.MailboxReason != "" {
		t.Errorf("the old mailbox is remembered: %+v", saved)
	}
	due := b.claim(t)
	if len(due) != 1 || due[0].State != model.SubscriptionExpired || due[0].GraphID != "graph-p-1" || due[0].MailboxID != "" {
		t.Errorf("subscription of the old mailbox: %+v", due)
	}
	if due[0].Email != "ada@fabrikam.example" {
		t.Errorf("address %q", due[0].Email)
	}
}

func TestParticipantShowsALivingSubscription(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.link(t, linkOf("s"))
	p, err := b.Participant(t.Context(), "t", "p-1")
	if err != nil || p.Subscription != nil {
		t.Fatalf("before there is one: %+v, %v", p.Subscription, err)
	}
	sub := b.claim(t)[0]
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	b.activate(t, sub, expires)
	p, err = b.Participant(t.Context(), "t", "p-1")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "subscription", p.Subscription, &model.SubscriptionSummary{ID: "graph-p-1", ExpiresAt: expires})
	b.activate(t, sub, time.Now().Add(-time.Hour))
	if p, err = b.Participant(t.Context(), "t", "p-1"); err != nil || p.Subscription != nil {
		t.Errorf("after it expired: %+v, %v", p.Subscription, err)
	}
}

// TestTenantShut says that an organisation is shut when each mailbox that matters can't be read and one says why.
func TestTenantShut(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	shut := func(want bool) {
		t.Helper()
		if got, err := b.TenantShut(t.Context(), "t", []string{"access_denied", "permission_missing"}); err != nil || got != want {
			t.Errorf("shut %v, %v; want %v", got, err, want)
		}
	}
	shut(false) // Nobody organises anything.
	b.settle(t, b.link(t, linkOf("s")))
	other := linkOf("other")
	other.Organizer, other.Attendees = "p-3", nil
	b.settle(t, b.link(t, other))
	b.exec(t, "UPDATE participants SET mailbox_status = 'ok' WHERE tenant = 't'")
	shut(false)
	b.fail(t, "access_denied")
	shut(false) // The other can be read.
	b.exec(t, "UPDATE participants SET mailbox_status = 'unreachable', mailbox_reason = 'no_mailbox' WHERE id = 'p-3'")
	shut(true) // p-2 organises nothing.
	b.fail(t, "no_mailbox")
	shut(false)
	b.fail(t, "access_denied")
	b.exec(t, "UPDATE tenants SET method = 'per_user' WHERE id = 't'")
	shut(false)
	if got, err := b.TenantShut(t.Context(), "nobody", []string{"access_denied"}); err != nil || got {
		t.Errorf("nobody is shut: %v, %v", got, err)
	}
}

// TestATenantThatLetsUsInIsTriedAtOnce: whatever had failed for long, does not wait for its next probe.
func TestATenantThatLetsUsInIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.settle(t, b.link(t, linkOf("s")))
	b.settle(t, b.link(t, linkOf("s-2")))
	other := linkOf("other")
	other.Organizer, other.Attendees = "p-3", nil
	b.settle(t, b.link(t, other))
	b.exec(t, "UPDATE participants SET mailbox_status = 'ok' WHERE tenant = 't'")
	for _, sub := range b.claim(t) {
		sub.State, sub.DueAt = model.SubscriptionFailing, time.Now().Add(time.Hour)
		b.save(t, sub)
	}
	b.fail(t, "app_not_in_tenant")
	if _, err := b.SetTenantStatus(t.Context(), "t", model.TenantFailing, "app_not_in_tenant"); err != nil {
		t.Fatal(err)
	}
	if due := b.due(t); len(due) > 0 || len(b.claim(t)) > 0 {
		t.Fatalf("due before: %+v", due)
	}
	heard := b.listen(t, model.ChannelSweep, model.ChannelSubscriptions)
	if news, err := b.SetTenantStatus(t.Context(), "t", model.TenantConnected, ""); err != nil || !news {
		t.Fatalf("news %v, %v", news, err)
	}
	testbed.Receive(t, "the notification", heard)
	due := b.due(t)
	if len(due) != 1 || due[0].Session.Organizer != "p-1" {
		t.Errorf("due: %+v, want one session of the mailbox that failed", due)
	}
	if subs := b.claim(t); len(subs) != 2 {
		t.Errorf("due subscriptions: %+v", subs)
	}
	// What fails now is another failure, not the one of before.
	b.fail(t, "app_not_in_tenant")
	b.within(t, "the second failure", 2*time.Minute)
}
