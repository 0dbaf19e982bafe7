package model_test

import (
	"sync"
	"testing"
	"time"

	"pairsync/model"
)

func (b *bed) mails(tb testing.TB) []model.Mail {
	tb.Helper()
	m, err := b.ClaimMail(tb.Context(), 10, 0, time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// send takes one letter, which must be of that kind, and sends it.
func (b *bed) send(tb testing.TB, kind model.MailKind) model.Mail {
	tb.Helper()
	m := b.mails(tb)
	if len(m) != 1 || m[0].Kind != kind {
		tb.Fatalf("letters %+v, want one of kind %s", m, kind)
	}
	if ok, err := b.MailSending(tb.Context(), m[0].ID); err != nil || !ok {
		tb.Fatalf("sending: %v, %v", ok, err)
	}
	if err := b.MailSent(tb.Context(), m[0].ID); err != nil {
		tb.Fatal(err)
	}
	return m[0]
}

func (b *bed) status(tb testing.TB, st model.TenantStatus, reason string) {
	tb.Helper()
	if _, err := b.SetTenantStatus(tb.Context(), "t", st, reason); err != nil {
		tb.Fatal(err)
	}
}

func (b *bed) heal(tb testing.TB) {
	tb.Helper()
	if _, err := b.MailboxHealed(tb.Context(), "t", "p-1"); err != nil {
		tb.Fatal(err)
	}
}

// TestOneLetterForEachDirection: however often the same trouble is seen, the owner hears of it once, and once of its end.
func TestOneLetterForEachDirection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.heal(t)
	if m := b.mails(t); len(m) != 0 {
		t.Fatalf("nothing has happened: %+v", m)
	}
	for range 3 {
		b.fail(t, "access_denied")
	}
	b.fail(t, "user_not_found")
	m := b.send(t, model.MailOpened)
	if m.OwnerEmail != "it@contoso.example" || m.TenantName != "Contoso" || len(m.Incidents) != 1 {
		t.Fatalf("letter %+v", m)
	}
	if i := m.Incidents[0]; i.Scope != model.ScopeMailbox || i.Participant != "p-1" || i.Reason != "user_not_found" || i.ClosedAt != nil {
		t.Errorf("incident %+v", i)
	}
	b.fail(t, "access_denied")
	if m := b.mails(t); len(m) != 0 {
		t.Errorf("the same trouble: %+v", m)
	}
	b.heal(t)
	b.heal(t)
	if m := b.send(t, model.MailRecovered); len(m.Incidents) != 1 || m.Incidents[0].ClosedAt == nil {
		t.Errorf("letter %+v", m)
	}
	b.fail(t, "access_denied")
	b.send(t, model.MailOpened)
	all, err := b.Incidents(t.Context(), "t", false, 0, 0)
	if err != nil || len(all) != 2 {
		t.Errorf("incidents %+v, %v", all, err)
	}
	if open, err := b.Incidents(t.Context(), "t", true, 0, 0); err != nil || len(open) != 1 || open[0].ID != all[1].ID {
		t.Errorf("open %+v, %v", open, err)
	}
}

// TestTroubleThatPassesUnnoticed: a letter that nobody has begun to send is taken back, and its end needs none.
func TestTroubleThatPassesUnnoticed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.fail(t, "access_denied")
	b.heal(t)
	if m := b.mails(t); len(m) != 0 {
		t.Errorf("letters %+v", m)
	}
	// One that is being written tells of it, and then the end has to be told.
	b.fail(t, "access_denied")
	being := b.mails(t)
	b.heal(t)
	if ok, err := b.MailSending(t.Context(), being[0].ID); err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.send(t, model.MailRecovered)
}

// TestAWholeTenantIsOneLetter: the mailboxes that fail with their organisation are not told of one by one.
func TestAWholeTenantIsOneLetter(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.status(t, model.TenantFailing, "consent_missing")
	if m := b.mails(t); len(m) != 0 {
		t.Errorf("what was never connected has not broken: %+v", m)
	}
	b.status(t, model.TenantConnected, "")
	b.status(t, model.TenantFailing, "consent_missing")
	b.status(t, model.TenantFailing, "secret_expired")
	b.fail(t, "access_denied")
	m := b.send(t, model.MailOpened)
	if len(m.Incidents) != 1 || m.Incidents[0].Scope != model.ScopeTenant || m.Incidents[0].Reason != "secret_expired" {
		t.Errorf("letter %+v", m)
	}
	b.status(t, model.TenantConnected, "")
	b.send(t, model.MailRecovered)
	// A mailbox that goes on failing is told of now.
	b.fail(t, "access_denied")
	if m := b.send(t, model.MailOpened); m.Incidents[0].Scope != model.ScopeMailbox {
		t.Errorf("letter %+v", m)
	}
}

// TestTroubleGathersInALetter: what comes before somebody claims the letter goes into it, and what comes after does not.
func TestTroubleGathersInALetter(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	failing := func(participant string) {
		t.Helper()
		_, err := b.MailboxFailed(t.Context(), "t", participant, model.MailboxUnreachable, "access_denied", time.Second, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
	}
	failing("p-1")
	failing("p-2")
	first := b.mails(t)
	failing("p-3")
	second := b.mails(t)
	if len(first) != 1 || len(first[0].Incidents) != 2 || len(second) != 1 || len(second[0].Incidents) != 1 {
		t.Errorf("letters %+v and %+v", first, second)
	}
}

// TestNeverSignedInIsNoTrouble: nothing has broken yet.
func TestNeverSignedInIsNoTrouble(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	needs := func() {
		t.Helper()
		_, err := b.MailboxFailed(t.Context(), "t", "p-1", model.MailboxNeedsSignIn, "token_revoked", time.Second, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
	}
	needs()
	needs()
	if m := b.mails(t); len(m) != 0 {
		t.Errorf("letters %+v", m)
	}
	b.heal(t)
	needs()
	b.send(t, model.MailOpened)
}

// TestOneOfManySends: replicas that see the same trouble and look for letters at the same time send one.
func TestOneOfManySends(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	sent := make(chan int64, 16)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := b.MailboxFailed(t.Context(), "t", "p-1", model.MailboxUnreachable, "access_denied", time.Second, time.Minute)
			if err != nil {
				t.Error(err)
			}
			letters, err := b.ClaimMail(t.Context(), 10, 0, time.Minute)
			if err != nil {
				t.Error(err)
			}
			for _, m := range letters {
				ok, err := b.MailSending(t.Context(), m.ID)
				if err != nil {
					t.Error(err)
				}
				if ok {
					sent <- m.ID
				}
			}
		})
	}
	wg.Wait()
	close(sent)
	if n := len(sent); n != 1 {
		t.Errorf("%d letters were sent", n)
	}
}

func TestALetterFailsOrIsLost(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	b.fail(t, "access_denied")
	id := b.mails(t)[0].ID
	if ok, err := b.MailSending(ctx, id); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := b.MailFailed(ctx, id, time.Now()); err != nil {
		t.Fatal(err)
	}
	again := b.mails(t)
	if len(again) != 1 || again[0].ID != id || again[0].Attempts != 1 {
		t.Fatalf("letters %+v", again)
	}
	if ok, err := b.MailSending(ctx, id); err != nil || !ok {
		t.Fatal(ok, err)
	}
	// Whoever dies here leaves a letter that may have been sent: nobody sends it again.
	if ok, err := b.MailSending(ctx, id); err != nil || ok {
		t.Errorf("sending it twice: %v, %v", ok, err)
	}
	b.exec(t, "UPDATE mails SET claimed_until = now() - interval '1 hour'")
	if m := b.mails(t); len(m) != 0 {
		t.Errorf("letters %+v", m)
	}
	if err := b.MailDropped(ctx, id); err != nil {
		t.Fatal(err)
	}
	b.heal(t)
	if m := b.mails(t); len(m) != 0 {
		t.Errorf("of what nobody was told: %+v", m)
	}
}

func TestForecastExpiry(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	at := time.Now().Add(30 * 24 * time.Hour)
	for _, first := range []bool{true, false} {
		if queued, err := b.ForecastExpiry(t.Context(), "t", "client certificate", at, 30); err != nil || queued != first {
			t.Errorf("queued %v, %v", queued, err)
		}
	}
	if queued, err := b.ForecastExpiry(t.Context(), "t", "client certificate", at, 7); err != nil || !queued {
		t.Errorf("seven days ahead: %v, %v", queued, err)
	}
	m := b.mails(t)
	if len(m) != 2 || m[0].Kind != model.MailExpiry || m[0].Subject != "client certificate" || m[0].Days != 30 || m[1].Days != 7 {
		t.Errorf("letters %+v", m)
	}
	_, err := b.ForecastExpiry(t.Context(), "u", "client certificate", at, 7)
	notFound(t, err, model.ThingTenant, "u")
}
