package model_test

import (
	"testing"
	"time"

	"pairsync/model"
)

// calling is a database whose organisation has a receiver of callbacks.
func calling(tb testing.TB) *bed {
	tb.Helper()
	b := newBed(tb)
	b.hook(tb, "https://platform.example/hook")
	return b
}

func (b *bed) hook(tb testing.TB, url string) {
	tb.Helper()
	_, _, err := b.PutTenant(tb.Context(), model.Tenant{
		ID: "t", Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide, CallbackURL: url,
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func (b *bed) deliveries(tb testing.TB) []model.Delivery {
	tb.Helper()
	d, err := b.ClaimCallbacks(tb.Context(), 10, 10, time.Minute, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func kindsOf(deliveries []model.Delivery) (all []string) {
	for _, d := range deliveries {
		all = append(all, d.Change.Session+" "+string(d.Change.Kind))
	}
	return all
}

// TestCallbacksKeepTheOrderOfASession: only the first that was not received is handed out, whatever becomes of it.
func TestCallbacksKeepTheOrderOfASession(t *testing.T) {
	t.Parallel()
	b := calling(t)
	ctx := t.Context()
	for _, id := range []string{"s", "s2"} {
		b.put(t, wish(id))
		r := later(14)
		r.ID = id
		b.put(t, r)
	}
	first := b.deliveries(t)
	equal(t, "first", kindsOf(first), []string{"s booked", "s2 booked"})
	if d := first[0]; d.URL != "https://platform.example/hook" || d.Tenant != "t" || d.Attempts != 0 || !d.FirstTriedAt.IsZero() || d.Change.AppliedAt.IsZero() {
		t.Errorf("delivery %+v", d)
	}
	if more := b.deliveries(t); len(more) != 0 {
		t.Errorf("claimed, and handed out again: %v", kindsOf(more))
	}
	if err := b.CallbackDone(ctx, first[1].Change.Cursor); err != nil {
		t.Fatal(err)
	}
	equal(t, "after one is received", kindsOf(b.deliveries(t)), []string{"s2 rescheduled"})
	if err := b.CallbackFailed(ctx, "t", first[0].Change.Cursor, time.Now().Add(time.Hour), "status_500"); err != nil {
		t.Fatal(err)
	}
	b.put(t, later(16))
	if early := b.deliveries(t); len(early) != 0 {
		t.Errorf("before its time: %v", kindsOf(early))
	}
	if at, ok, err := b.NextCallbackDue(ctx); err != nil || !ok || time.Until(at) < 50*time.Minute {
		t.Errorf("next at %v, %v, %v", at, ok, err)
	}
	if err := b.CallbackFailed(ctx, "t", first[0].Change.Cursor, time.Now(), "status_500"); err != nil {
		t.Fatal(err)
	}
	again := b.deliveries(t)
	equal(t, "when its time has come", kindsOf(again), []string{"s booked"})
	if again[0].Attempts != 2 || again[0].FirstTriedAt.IsZero() {
		t.Errorf("delivery %+v", again[0])
	}
}

// TestCallbacksAreForThoseWhoAsked: without a URL nothing is queued, and what was queued goes with it.
func TestCallbacksAreForThoseWhoAsked(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.put(t, wish("s"))
	b.hook(t, "https://platform.example/hook")
	if d := b.deliveries(t); len(d) != 0 {
		t.Errorf("from before: %v", kindsOf(d))
	}
	b.put(t, later(14))
	tenant, err := b.Tenant(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "callback", tenant.Callback, &model.Callback{Status: model.CallbackOK, Queued: 1})
	b.hook(t, "")
	if tenant, err = b.Tenant(t.Context(), "t"); err != nil || tenant.Callback != nil {
		t.Errorf("callback %+v, %v", tenant.Callback, err)
	}
	b.hook(t, "https://platform.example/hook")
	if d := b.deliveries(t); len(d) != 0 {
		t.Errorf("from before: %v", kindsOf(d))
	}
}

// TestCallbacksPause: a receiver that fails is left alone, which is one incident, until it works again.
func TestCallbacksPause(t *testing.T) {
	t.Parallel()
	b := calling(t)
	ctx := t.Context()
	b.put(t, wish("s"))
	until := time.Now().Add(time.Hour)
	for _, news := range []bool{true, false} {
		if changed, err := b.CallbackPaused(ctx, "t", "status_500", until); err != nil || changed != news {
			t.Errorf("news %v, %v", changed, err)
		}
	}
	b.put(t, later(14))
	if d := b.deliveries(t); len(d) != 0 {
		t.Errorf("paused: %v", kindsOf(d))
	}
	tenant, err := b.Tenant(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "callback", tenant.Callback, &model.Callback{Status: model.CallbackPaused, Reason: "status_500", Queued: 2})
	if m := b.send(t, model.MailOpened); m.Incidents[0].Scope != model.ScopeCallback {
		t.Errorf("letter %+v", m)
	}
	for _, news := range []bool{true, false} {
		if changed, err := b.CallbackResumed(ctx, "t"); err != nil || changed != news {
			t.Errorf("resumed: news %v, %v", changed, err)
		}
	}
	b.send(t, model.MailRecovered)
	equal(t, "resumed", kindsOf(b.deliveries(t)), []string{"s booked"})
	_, err = b.CallbackPaused(ctx, "u", "status_500", until)
	notFound(t, err, model.ThingTenant, "u")
	_, err = b.CallbackResumed(ctx, "u")
	notFound(t, err, model.ThingTenant, "u")
}

// TestCallbackSecretsRotate: the newest comes first, and the one before signs for a while.
func TestCallbackSecretsRotate(t *testing.T) {
	t.Parallel()
	b := calling(t)
	ctx := t.Context()
	for i, first := range []bool{true, false} {
		if set, err := b.SetCallbackSecret(ctx, "t", []byte{byte(i)}); err != nil || set != first {
			t.Errorf("set %v, %v", set, err)
		}
	}
	_, err := b.SetCallbackSecret(ctx, "u", []byte{0})
	notFound(t, err, model.ThingTenant, "u")
	notFound(t, b.RotateCallbackSecret(ctx, "u", []byte{0}, time.Hour), model.ThingTenant, "u")
	if err := b.RotateCallbackSecret(ctx, "t", []byte{7}, time.Hour); err != nil {
		t.Fatal(err)
	}
	b.put(t, wish("s"))
	if d := b.deliveries(t); len(d) != 1 {
		t.Fatalf("deliveries %v", kindsOf(d))
	} else {
		equal(t, "secrets", d[0].Secrets, [][]byte{{7}, {0}})
	}
	if err := b.RotateCallbackSecret(ctx, "t", []byte{8}, 0); err != nil {
		t.Fatal(err)
	}
	secrets, err := b.CallbackSecrets(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "secrets", secrets, [][]byte{{8}, {0}})
}
