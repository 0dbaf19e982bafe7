package model_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pairsync/model"
)

// TestAGrantIsUsedOnce: of many who come back with it at the same time one gets it.
func TestAGrantIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	want := model.Grant{
		Nonce: "n", Kind: model.GrantConnect, Tenant: "t", Participant: "p-1", Verifier: []byte("sealed"),
		ExpiresAt: time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond),
	}
	if err := b.OpenGrant(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	var used atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := b.UseGrant(t.Context(), "n")
			switch {
			case err == nil:
				used.Add(1)
				equal(t, "grant", got, want)
			case !errors.Is(err, model.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
}

func TestAGrantExpires(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for i, life := range []time.Duration{-time.Second, time.Minute} {
		g := model.Grant{Nonce: fmt.Sprint(i), Kind: model.GrantConsent, Tenant: "t", ExpiresAt: time.Now().Add(life)}
		if err := b.OpenGrant(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.UseGrant(t.Context(), "0")
	notFound(t, err, model.ThingGrant, "0")
	if n := b.number(t, "SELECT count(*) FROM grants"); n != 1 {
		t.Errorf("%d grants are kept", n)
	}
	if _, err := b.UseGrant(t.Context(), "1"); err != nil {
		t.Error(err)
	}
}

// TestTheNewestRefreshTokenIsKept: of several that were obtained with one token the first is kept, and a sign-in replaces all.
func TestTheNewestRefreshTokenIsKept(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	_, _, err := b.RefreshToken(ctx, "t", "p-1")
	notFound(t, err, model.ThingRefreshToken, "p-1")
	_, err = b.SaveRefreshToken(ctx, "t", "p-9", []byte("x"), 0)
	notFound(t, err, model.ThingParticipant, "p-9")

	if kept, err := b.SaveRefreshToken(ctx, "t", "p-1", []byte("signed in"), 0); err != nil || !kept {
		t.Fatalf("kept %v, %v", kept, err)
	}
	_, version, err := b.RefreshToken(ctx, "t", "p-1")
	if err != nil {
		t.Fatal(err)
	}
	var kept atomic.Int32
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			ok, err := b.SaveRefreshToken(ctx, "t", "p-1", fmt.Append(nil, "refreshed ", i), version)
			if err != nil {
				t.Error(err)
			}
			if ok {
				kept.Add(1)
			}
		})
	}
	wg.Wait()
	_, newer, err := b.RefreshToken(ctx, "t", "p-1")
	if err != nil || kept.Load() != 1 || newer != version+1 {
		t.Fatalf("%d kept, version %d after %d, %v", kept.Load(), newer, version, err)
	}
	if kept, err := b.SaveRefreshToken(ctx, "t", "p-1", []byte("again"), 0); err != nil || !kept {
		t.Fatalf("a sign-in: kept %v, %v", kept, err)
	}
	if late, err := b.SaveRefreshToken(ctx, "t", "p-1", []byte("late"), newer); err != nil || late {
		t.Errorf("a refresh of the token before the sign-in: kept %v, %v", late, err)
	}
	if gone, err := b.DeleteRefreshToken(ctx, "t", "p-1", newer); err != nil || gone {
		t.Errorf("an older one deletes the newest: %v, %v", gone, err)
	}
	if sealed, _, err := b.RefreshToken(ctx, "t", "p-1"); err != nil || string(sealed) != "again" {
		t.Errorf("kept %q, %v", sealed, err)
	}
	if gone, err := b.DeleteRefreshToken(ctx, "t", "p-1", 0); err != nil || !gone {
		t.Errorf("deleted %v, %v", gone, err)
	}
}

func TestIntegrationRequests(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	first, created, err := b.PutIntegrationRequest(ctx, model.IntegrationRequest{Tenant: "t", Participant: "p-1", Message: "please"})
	if err != nil || !created || first.Status != model.IntegrationOpen || first.Message != "please" {
		t.Fatalf("%+v, created %v, %v", first, created, err)
	}
	again, created, err := b.PutIntegrationRequest(ctx, model.IntegrationRequest{Tenant: "t", Participant: "p-1"})
	if err != nil || created {
		t.Errorf("created again: %v, %v", created, err)
	}
	equal(t, "request", again, first)
	_, _, err = b.PutIntegrationRequest(ctx, model.IntegrationRequest{Tenant: "t", Participant: "p-9"})
	notFound(t, err, model.ThingParticipant, "p-9")
	if _, _, err := b.PutIntegrationRequest(ctx, model.IntegrationRequest{Tenant: "t", Participant: "p-2"}); err != nil {
		t.Fatal(err)
	}
	page, err := b.IntegrationRequests(ctx, "t", model.IntegrationOpen, first.Number, 0)
	if err != nil || len(page) != 1 || page[0].Participant != "p-2" {
		t.Fatalf("page %+v, %v", page, err)
	}

	for range 2 {
		answered, err := b.AnswerIntegrationRequest(ctx, "t", first.ID, model.IntegrationApproved, "done")
		if err != nil || answered.Status != model.IntegrationApproved || answered.Answer != "done" || answered.AnsweredAt == nil {
			t.Fatalf("answered %+v, %v", answered, err)
		}
	}
	if _, err := b.AnswerIntegrationRequest(ctx, "t", first.ID, model.IntegrationDeclined, ""); !errors.Is(err, model.ErrSettled) {
		t.Errorf("another answer: %v", err)
	}
	_, err = b.AnswerIntegrationRequest(ctx, "u", first.ID, model.IntegrationApproved, "")
	notFound(t, err, model.ThingIntegrationRequest, first.ID)
	_, err = b.AnswerIntegrationRequest(ctx, "t", "nonsense", model.IntegrationApproved, "")
	notFound(t, err, model.ThingIntegrationRequest, "nonsense")
	if _, created, err := b.PutIntegrationRequest(ctx, model.IntegrationRequest{Tenant: "t", Participant: "p-1"}); err != nil || !created {
		t.Errorf("asked anew after the answer: created %v, %v", created, err)
	}
}

func TestParticipants(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	names := func(people []model.Participant, err error) (all []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range people {
			all = append(all, p.ID)
		}
		return all
	}
	equal(t, "all", names(b.Participants(t.Context(), "t", "", 0)), []string{"p-1", "p-2", "p-3"})
	equal(t, "a page", names(b.Participants(t.Context(), "t", "p-1", 1)), []string{"p-2"})
	equal(t, "none", names(b.Participants(t.Context(), "u", "", 0)), []string(nil))
	if n := len(names(b.SampleParticipants(t.Context(), "t", 2))); n != 2 {
		t.Errorf("%d picked", n)
	}
	equal(t, "a sample of all", names(b.SampleParticipants(t.Context(), "t", 10)), []string{"p-1", "p-2", "p-3"})
	for _, name := range []string{"mailbox-1", "MAILBOX-1", "Ada@contoso.example"} {
		if id, err := b.ParticipantOfMailbox(t.Context(), "t", name); err != nil || id != "p-1" {
			t.Errorf("%s is of %q, %v", name, id, err)
		}
	}
	_, err := b.ParticipantOfMailbox(t.Context(), "t", "")
	notFound(t, err, model.ThingParticipant, "")
}
