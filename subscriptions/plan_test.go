package subscriptions

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pairsync/model"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// alive is a subscription that was granted so long ago for so long.
func alive(ago, granted time.Duration, change ...func(*model.Subscription)) model.Subscription {
	s := model.Subscription{
		Tenant: "t", Participant: "p", MailboxID: "m", GraphID: "g", ClientState: "cs", State: model.SubscriptionActive,
		GrantedAt: noon.Add(-ago), ExpiresAt: noon.Add(granted - ago), Wanted: true,
	}
	for _, fn := range change {
		fn(&s)
	}
	return s
}

func told(ev model.LifecycleEvent) func(*model.Subscription) {
	return func(s *model.Subscription) { s.Lifecycle = ev }
}

func renewedAgo(d time.Duration) func(*model.Subscription) {
	return func(s *model.Subscription) { s.RenewedAt = noon.Add(-d) }
}

func reauthorizedAgo(d time.Duration) func(*model.Subscription) {
	return func(s *model.Subscription) { s.ReauthorizedAt = noon.Add(-d) }
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const week = 166 * time.Hour
	reauth, removed, missed := model.LifecycleReauthorizationRequired, model.LifecycleSubscriptionRemoved, model.LifecycleMissed
	cases := []struct {
		name  string
		want  bool
		have  model.Subscription
		step  step
		why   reason
		sweep bool
	}{
		{"nothing there", true, model.Subscription{}, stepCreate, whyNot, false},
		{"written but not confirmed", true, model.Subscription{ClientState: "cs", State: model.SubscriptionPending}, stepCreate, whyNot, false},
		{"being created", true, model.Subscription{ClientState: "cs", State: model.SubscriptionPending, GrantedAt: noon.Add(-makingTime + time.Second)}, stepLeave, whyNot, false},
		{"being created for nobody", false, model.Subscription{ClientState: "cs", State: model.SubscriptionPending, GrantedAt: noon.Add(-makingTime + time.Second)}, stepLeave, whyNot, false},
		{"a process died creating it", true, model.Subscription{ClientState: "cs", State: model.SubscriptionPending, GrantedAt: noon.Add(-2 * time.Minute)}, stepCreate, whyNot, false},
		{"failed before it was created", true, model.Subscription{State: model.SubscriptionFailing, Reason: "access_denied", Attempts: 9}, stepCreate, whyNot, false},
		{"not wanted", false, alive(time.Hour, week), stepDelete, whyNot, false},
		{"not wanted and removed", false, alive(time.Hour, week, told(removed)), stepDelete, whyNot, false},
		{"not wanted, never made", false, model.Subscription{}, stepDelete, whyNot, false},

		{"young", true, alive(time.Hour, week), stepWait, whyNot, false},
		{"just before half of its life", true, alive(week/2-time.Second, week), stepWait, whyNot, false},
		{"past the latest start of renewal", true, alive(week*7/10+time.Second, week), stepRenew, whyNot, false},
		{"near its end", true, alive(week-time.Minute, week), stepRenew, whyNot, false},
		{"lapsed", true, alive(week, week), stepReplace, whyExpired, false},
		{"lapsed long ago", true, alive(2*week, week), stepReplace, whyExpired, false},
		{"for another mailbox", true, alive(time.Hour, week, func(s *model.Subscription) { s.State = model.SubscriptionExpired }), stepReplace, whyExpired, false},
		{"removed", true, alive(time.Hour, week, told(removed)), stepReplace, whyRemoved, false},
		{"silent", true, alive(time.Hour, week, func(s *model.Subscription) { s.Silent = true }), stepReplace, whySilent, false},
		{"renewed twice for nothing", true, alive(week*8/10, week, func(s *model.Subscription) { s.Reason, s.Attempts = reasonUnchanged, 2 }), stepRenew, whyNot, false},
		{"renewed three times for nothing", true, alive(week*8/10, week, func(s *model.Subscription) { s.Reason, s.Attempts = reasonUnchanged, 3 }), stepReplace, whyStuck, false},
		{"failed to renew", true, alive(week*8/10, week, func(s *model.Subscription) { s.State, s.Attempts = model.SubscriptionFailing, 30 }), stepRenew, whyNot, false},

		{"missed", true, alive(time.Hour, week, told(missed)), stepWait, whyNot, true},
		{"missed and due", true, alive(week*8/10, week, told(missed)), stepRenew, whyNot, true},

		{"asked to reauthorize while young", true, alive(time.Hour, week, told(reauth)), stepReauthorize, whyNot, false},
		{"asked to reauthorize when due", true, alive(week*8/10, week, told(reauth)), stepRenew, whyNot, false},
		{"asked to reauthorize short before it is due", true, alive(10*time.Minute-10*time.Second, 20*time.Minute, told(reauth)), stepRenew, whyNot, false},
		{"asked to reauthorize a minute after a renewal", true, alive(time.Minute, week, told(reauth), renewedAgo(time.Minute)), stepRenew, whyNot, false},
		{"asked to reauthorize a second after a renewal", true, alive(time.Second, week, told(reauth), renewedAgo(time.Second)), stepWait, whyNot, false},
		{"asked to reauthorize a second after it was made", true, alive(time.Second, week, told(reauth)), stepWait, whyNot, false},
		{"asked again a minute after reauthorizing", true, alive(time.Hour, week, told(reauth), reauthorizedAgo(time.Minute)), stepReauthorize, whyNot, false},
		{"asked to reauthorize a life of twenty minutes", true, alive(6*time.Minute, 20*time.Minute, told(reauth)), stepRenew, whyNot, false},
		{"asked to reauthorize a life of seconds", true, alive(time.Second, 3*time.Second, told(reauth)), stepRenew, whyNot, false},

		{"due a minute after reauthorizing", true, alive(week*8/10, week, reauthorizedAgo(time.Minute)), stepWait, whyNot, false},
		{"due ten minutes after reauthorizing", true, alive(week*8/10, week, reauthorizedAgo(10*time.Minute)), stepRenew, whyNot, false},
		{"near its end a minute after reauthorizing", true, alive(week-time.Hour, week, reauthorizedAgo(time.Minute)), stepRenew, whyNot, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := plan(noon, tc.want, tc.have)
			if got.step != tc.step || got.why != tc.why || got.sweep != tc.sweep {
				t.Errorf("got %+v", got)
			}
			if got.step == stepWait && !got.at.After(noon) {
				t.Errorf("waits until %s, which is past", got.at)
			}
		})
	}
}

// A hundred thousand subscriptions that were created within a minute must not be renewed within a minute, nor fall into
// step later.
func TestRenewalsSpread(t *testing.T) {
	t.Parallel()
	const n, week = 100_000, 166 * time.Hour
	perMinute := map[int]int{}
	for i := range n {
		s := alive(0, week)
		s.Participant = fmt.Sprintf("p-%d", i)
		s.GrantedAt = noon.Add(time.Duration(i) * time.Minute / n)
		s.ExpiresAt = s.GrantedAt.Add(week)
		at := plan(s.GrantedAt, true, s).at
		if at.Before(s.GrantedAt.Add(week/2)) || at.After(s.GrantedAt.Add(week*7/10)) {
			t.Fatalf("renewal %s after the grant", at.Sub(s.GrantedAt))
		}
		perMinute[int(at.Sub(noon)/time.Minute)]++
	}
	most := 0
	for _, c := range perMinute {
		most = max(most, c)
	}
	// 33.2 hours are 1,992 minutes: 50 a minute when even.
	if most > 100 {
		t.Errorf("%d renewals in one minute", most)
	}
	if len(perMinute) < 1900 {
		t.Errorf("spread over %d minutes only", len(perMinute))
	}
}

func TestRetryLeavesManyTries(t *testing.T) {
	t.Parallel()
	for _, granted := range []time.Duration{3 * time.Second, 45 * time.Minute, 166 * time.Hour} {
		s := alive(0, granted)
		now, tries := renewalTime(s), 0
		for ; now.Before(s.ExpiresAt) && tries < 5000; tries++ {
			s.Attempts++
			now = retryTime(now, s, backoff{2 * time.Second, 5 * time.Minute}, 0, 0)
		}
		if tries < 15 || tries > 1500 {
			t.Errorf("a life of %s leaves %d tries", granted, tries)
		}
	}
}

func TestRetryTime(t *testing.T) {
	t.Parallel()
	b := backoff{2 * time.Second, time.Minute}
	none := model.Subscription{Attempts: 1}
	many := model.Subscription{Attempts: 40}
	cases := []struct {
		name   string
		have   model.Subscription
		told   time.Duration
		spread float64
		want   time.Duration
	}{
		{"first", none, 0, 0, 2 * time.Second},
		{"first, spread", none, 0, 0.5, 1750 * time.Millisecond},
		{"many", many, 0, 0, time.Minute},
		{"as told", none, 90 * time.Second, 0, 90 * time.Second},
		{"as told, spread later", none, 90 * time.Second, 0.5, 90*time.Second + 500*time.Millisecond},
		{"told less than we would wait", many, time.Second, 0, time.Minute},
		{"little life left", alive(150*time.Minute, 166*time.Minute, func(s *model.Subscription) { s.Attempts = 40 }), 0, 0, time.Minute},
		{"less life left", alive(165*time.Minute, 166*time.Minute, func(s *model.Subscription) { s.Attempts = 40 }), 0, 0, 3750 * time.Millisecond},
		{"told to wait beyond its end", alive(165*time.Minute, 166*time.Minute), time.Hour, 0, time.Hour},
		{"no life left", alive(166*time.Minute, 166*time.Minute, func(s *model.Subscription) { s.Attempts = 40 }), 0, 0, time.Minute},
	}
	for _, tc := range cases {
		if got := retryTime(noon, tc.have, b, tc.told, tc.spread).Sub(noon); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// Whatever happens to a subscription, in whatever order: renewal and reauthorization stay ten minutes apart unless it is
// about to lapse, and a Graph that answers never lets it lapse.
func TestPlanKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		granted := time.Duration(rapid.Int64Range(int64(2*time.Second), int64(200*time.Hour)).Draw(t, "life"))
		now := noon
		s := alive(0, granted)
		s.Participant = rapid.StringN(1, 5, 8).Draw(t, "participant")
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "asked") {
				s.Lifecycle = model.LifecycleReauthorizationRequired
			}
			a := plan(now, true, s)
			late := !now.Before(lastCallTime(s))
			switch a.step {
			case stepWait:
				if !a.at.After(now) || !a.at.Before(s.ExpiresAt) {
					t.Fatalf("waits from %s until %s, expiry %s", now, a.at, s.ExpiresAt)
				}
				wake := a.at
				if rapid.Bool().Draw(t, "woken early") {
					wake = now.Add(time.Duration(rapid.Float64Range(0, 1).Draw(t, "part") * float64(a.at.Sub(now))))
				}
				now = wake
			case stepRenew:
				if now.Sub(s.ReauthorizedAt) < apart && !late {
					t.Fatalf("renews %s after reauthorizing", now.Sub(s.ReauthorizedAt))
				}
				s.GrantedAt, s.RenewedAt, s.ExpiresAt, s.Lifecycle = now, now, now.Add(granted), ""
			case stepReauthorize:
				if now.Sub(s.RenewedAt) < apart {
					t.Fatalf("reauthorizes %s after renewing", now.Sub(s.RenewedAt))
				}
				s.ReauthorizedAt, s.Lifecycle = now, ""
			case stepCreate, stepReplace, stepDelete, stepLeave:
				t.Fatalf("step %d for a living subscription", a.step)
			}
		}
	})
}
