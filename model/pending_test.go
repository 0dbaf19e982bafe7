package model_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pairsync/model"
)

// asking is a database whose organisation is asked about what was done in Outlook, and a session in it that was booked.
func asking(tb testing.TB, choice model.PolicyChoice) (*bed, model.Session) {
	tb.Helper()
	b := newBed(tb)
	_, _, err := b.PutTenant(tb.Context(), model.Tenant{
		ID: "t", Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide,
		Policy: model.Policy{Reschedule: choice, Cancel: choice},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b, b.booked(tb)
}

// moveTo is the nth version of the event, in which somebody has moved it.
func moveTo(s model.Session, n, hour int) model.Observation {
	o := eventOf(s, n)
	o.StartsAt, o.EndsAt = tomorrow(hour), tomorrow(hour+1)
	return o
}

func (b *bed) waitingFor(tb testing.TB) model.Pending {
	tb.Helper()
	p, err := b.Pending(tb.Context(), "t", model.PendingOpen, 0, 0)
	if err != nil || len(p) != 1 {
		tb.Fatalf("pending %+v, %v", p, err)
	}
	return p[0]
}

func TestPendingMoveIsApplied(t *testing.T) {
	t.Parallel()
	b, s := asking(t, model.PolicyAsk)
	out := b.commit(t, reading(s, moveTo(s, 2, 14)))
	equal(t, "kinds", kinds(out.Changes), []model.ChangeKind{model.KindChangePending})
	now := b.session(t, "s")
	if !now.StartsAt.Equal(tomorrow(9)) || now.State != model.OutlookPending || now.StateReason() != model.ReasonAwaitingAnswer {
		t.Fatalf("session %+v", now)
	}
	if again := b.commit(t, reading(s, moveTo(s, 2, 14))); len(again.Changes) > 0 {
		t.Errorf("read again: %v", kinds(again.Changes))
	}
	p := b.waitingFor(t)
	if p.Kind != model.KindRescheduled || !p.OccurredAt.Equal(modified(2)) || p.AnsweredAt != nil {
		t.Errorf("pending %+v", p)
	}
	for range 2 {
		applied, err := b.ApplyPending(t.Context(), "t", p.ID, time.Time{})
		if err != nil || applied.Status != model.PendingApplied || applied.AnsweredAt == nil {
			t.Fatalf("applied %+v, %v", applied, err)
		}
	}
	now = b.session(t, "s")
	if !now.StartsAt.Equal(tomorrow(14)) || now.State != model.OutlookInSync || now.Seen != nil || now.Request != nil {
		t.Errorf("session %+v", now)
	}
	h := b.history(t)
	equal(t, "history", kinds(h), []model.ChangeKind{model.KindBooked, model.KindChangePending, model.KindRescheduled})
	if c := h[2]; c.Source != model.SourceOutlook || c.Cause != model.CauseRequest || !c.OccurredAt.Equal(modified(2)) {
		t.Errorf("change %+v", c)
	}
	if _, err := b.UndoPending(t.Context(), "t", p.ID, time.Time{}); !errors.Is(err, model.ErrSettled) {
		t.Errorf("undone after it was applied: %v", err)
	}
	_, err := b.ApplyPending(t.Context(), "u", p.ID, time.Time{})
	notFound(t, err, model.ThingPending, p.ID)
	_, err = b.ApplyPending(t.Context(), "t", "nonsense", time.Time{})
	notFound(t, err, model.ThingPending, "nonsense")
}

func TestPendingMoveIsUndone(t *testing.T) {
	t.Parallel()
	b, s := asking(t, model.PolicyAsk)
	b.commit(t, reading(s, moveTo(s, 2, 14)))
	p := b.waitingFor(t)
	if undone, err := b.UndoPending(t.Context(), "t", p.ID, time.Time{}); err != nil || undone.Status != model.PendingUndone {
		t.Fatalf("undone %+v, %v", undone, err)
	}
	now := b.session(t, "s")
	if now.Request == nil || !now.Request.Times || now.Request.Kind != model.RequestChange || now.Pending != nil {
		t.Fatalf("session %+v", now)
	}
	if read := b.commit(t, reading(s, moveTo(s, 2, 14))); len(read.Changes) > 0 || read.Session.Request == nil {
		t.Errorf("the move read again: %v", kinds(read.Changes))
	}
	if after := b.apply(t, 3); after.State != model.OutlookInSync || !after.StartsAt.Equal(tomorrow(9)) {
		t.Errorf("applied: %+v", after)
	}
	h := b.history(t)
	equal(t, "history", kinds(h), []model.ChangeKind{model.KindBooked, model.KindChangePending, model.KindSuperseded})
	if h[2].Source != model.SourceOutlook {
		t.Errorf("change %+v", h[2])
	}
}

// TestUndoneCancellationIsBookedAnew: as another event, of which the old one's readings say nothing.
func TestUndoneCancellationIsBookedAnew(t *testing.T) {
	t.Parallel()
	b, s := asking(t, model.PolicyAsk)
	b.commit(t, reading(s, model.Observation{ReadAt: time.Now()}))
	now := b.session(t, "s")
	if now.Status != model.SessionScheduled || now.State != model.OutlookPending {
		t.Fatalf("session %+v", now)
	}
	p := b.waitingFor(t)
	if p.Kind != model.KindCancelled || p.OccurredAt.IsZero() {
		t.Errorf("pending %+v", p)
	}
	if _, err := b.UndoPending(t.Context(), "t", p.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if out := b.commit(t, reading(s, model.Observation{ReadAt: time.Now()})); out.Verdict != model.VerdictStale {
		t.Errorf("the old event is still missed: %v", out.Verdict)
	}
	w := b.take(t, "s")
	if w.Session.EventID != "" || w.Session.Request.Kind != model.RequestBook || w.Before || "booked-"+w.TransactionID == s.EventID {
		t.Fatalf("work %+v", w)
	}
	if err := b.ReleaseRequest(t.Context(), w, time.Now()); err != nil {
		t.Fatal(err)
	}
	after := b.apply(t, 5)
	if after.State != model.OutlookInSync || after.EventID == s.EventID || after.Status != model.SessionScheduled {
		t.Errorf("booked anew: %+v", after)
	}
}

// TestPendingIsOvertaken: people take it back, move on, or cancel before anybody has answered.
func TestPendingIsOvertaken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		open   model.ChangeKind
		status model.PendingStatus
		do     func(*testing.T, *bed)
	}{
		"moved back":            {status: model.PendingWithdrawn, do: func(t *testing.T, b *bed) { t.Helper(); b.read(t, moveTo(b.session(t, "s"), 3, 9)) }},
		"moved on":              {status: model.PendingWithdrawn, open: model.KindRescheduled, do: func(t *testing.T, b *bed) { t.Helper(); b.read(t, moveTo(b.session(t, "s"), 3, 16)) }},
		"cancelled":             {status: model.PendingWithdrawn, open: model.KindCancelled, do: func(t *testing.T, b *bed) { t.Helper(); b.read(t, model.Observation{ReadAt: time.Now()}) }},
		"put":                   {status: model.PendingUndone, do: func(t *testing.T, b *bed) { t.Helper(); b.put(t, later(16)) }},
		"put as Outlook has it": {status: model.PendingApplied, do: func(t *testing.T, b *bed) { t.Helper(); b.put(t, later(14)) }},
		"called off": {status: model.PendingUndone, do: func(t *testing.T, b *bed) {
			t.Helper()
			if _, err := b.CancelSession(t.Context(), "t", "s", "", time.Time{}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := asking(t, model.PolicyAsk)
			b.commit(t, reading(s, moveTo(s, 2, 14)))
			first := b.waitingFor(t)
			tt.do(t, b)
			all, err := b.Pending(t.Context(), "t", "", 0, 0)
			if err != nil || all[0].ID != first.ID || all[0].Status != tt.status {
				t.Fatalf("pending %+v, %v", all, err)
			}
			if tt.open == "" && len(all) != 1 || tt.open != "" && b.waitingFor(t).Kind != tt.open {
				t.Errorf("pending %+v", all)
			}
			if _, err := b.ApplyPending(t.Context(), "t", first.ID, time.Time{}); tt.status != model.PendingApplied && !errors.Is(err, model.ErrSettled) {
				t.Errorf("answered too late: %v", err)
			}
		})
	}
}

func later(hour int) model.SessionRequest {
	r := wish("s")
	r.StartsAt, r.EndsAt = tomorrow(hour), tomorrow(hour+1)
	return r
}

func (b *bed) read(tb testing.TB, o model.Observation) {
	tb.Helper()
	b.commit(tb, reading(b.session(tb, "s"), o))
}

// TestOneAnswer: of two who answer differently at the same time one is heard.
func TestOneAnswer(t *testing.T) {
	t.Parallel()
	b, s := asking(t, model.PolicyAsk)
	b.commit(t, reading(s, moveTo(s, 2, 14)))
	p := b.waitingFor(t)
	var ok, settled atomic.Int32
	var wg sync.WaitGroup
	for _, answer := range []func() (model.Pending, error){
		func() (model.Pending, error) { return b.ApplyPending(t.Context(), "t", p.ID, time.Time{}) },
		func() (model.Pending, error) { return b.UndoPending(t.Context(), "t", p.ID, time.Time{}) },
	} {
		wg.Go(func() {
			switch _, err := answer(); {
			case err == nil:
				ok.Add(1)
			case errors.Is(err, model.ErrSettled):
				settled.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 1 || settled.Load() != 1 {
		t.Errorf("%d heard, %d too late", ok.Load(), settled.Load())
	}
}

// TestTwoMovesInOneBatch: the first is overtaken before anybody could have heard of it.
func TestTwoMovesInOneBatch(t *testing.T) {
	t.Parallel()
	b, s := asking(t, model.PolicyAsk)
	out, err := b.Commit(t.Context(), []model.Reading{reading(s, moveTo(s, 2, 14)), reading(s, moveTo(s, 3, 16))})
	if err != nil || out[0].Err != nil || out[1].Err != nil {
		t.Fatal(err, out)
	}
	all, err := b.Pending(t.Context(), "t", "", 0, 0)
	if err != nil || len(all) != 2 || all[0].Status != model.PendingWithdrawn || all[1].Status != model.PendingOpen {
		t.Errorf("pending %+v, %v", all, err)
	}
}

// TestNotify: what was done in Outlook is told and not applied, and the session stands.
func TestNotify(t *testing.T) {
	t.Parallel()
	b, s := asking(t, model.PolicyNotify)
	b.read(t, moveTo(s, 2, 14))
	now := b.session(t, "s")
	if !now.StartsAt.Equal(tomorrow(9)) || now.State != model.OutlookConflict || now.StateReason() != model.ReasonNotApplied {
		t.Errorf("session %+v", now)
	}
	b.read(t, moveTo(s, 3, 9))
	if now := b.session(t, "s"); now.State != model.OutlookInSync {
		t.Errorf("moved back: %+v", now)
	}
	b.read(t, model.Observation{ReadAt: time.Now()})
	if now := b.session(t, "s"); now.Status != model.SessionScheduled || now.State != model.OutlookConflict {
		t.Errorf("cancelled: %+v", now)
	}
	h := b.history(t)[1:]
	equal(t, "history", kinds(h), []model.ChangeKind{model.KindRescheduled, model.KindCancelled})
	for _, c := range h {
		if c.Applied {
			t.Errorf("change %+v", c)
		}
	}
	// The platform moves it: there is no event to be moved any more.
	if now := b.put(t, later(11)); now.Request == nil || now.Request.Kind != model.RequestBook || now.EventID != "" {
		t.Errorf("put: %+v", now)
	}
}
