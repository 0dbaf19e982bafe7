package subscriptions

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"time"

	"pairsync/model"
)

// step is what is to be done about one subscription.
type step uint8

const (
	// stepWait: nothing before action.at.
	stepWait step = iota
	// stepCreate: there is none, as far as is known.
	stepCreate
	// stepReplace: there was one that is of no use any more; make another.
	stepReplace
	// stepRenew: move its expiry.
	stepRenew
	// stepReauthorize: refresh its tie to our token, leave its expiry.
	stepReauthorize
	// stepDelete: it is not wanted any more.
	stepDelete
	// stepLeave: somebody else is creating it right now. Nothing is written either: the row is theirs.
	stepLeave
)

// reason why a subscription is replaced.
type reason uint8

const (
	whyNot reason = iota
	// whyRemoved: Graph said that it removed it.
	whyRemoved
	// whyExpired: it lapsed, or it is for a mailbox that the participant no longer has.
	whyExpired
	// whySilent: the mailbox changed and it said nothing.
	whySilent
	// whyStuck: renewals are accepted and change nothing.
	whyStuck
	// whyMoved: it is silent to us because it leads to an address that was ours.
	whyMoved
)

// action is the outcome of plan.
type action struct {
	step step
	why  reason
	// sweep says that notifications were missed: the mailbox's sessions must be verified whatever the step is.
	sweep bool
	// at is when to look again, for stepWait.
	at time.Time
}

const (
	// apart is how long renewal and reauthorization of one subscription are kept apart.
	// https://learn.microsoft.com/graph/change-notifications-lifecycle-events
	apart = 10 * time.Minute
	// fresh is how long after a refresh another demand for one is taken for an echo of what the refresh answered.
	fresh = 2 * time.Second
	// stuckAfter is how many renewals in a row may leave the expiry where it was.
	stuckAfter = 3
)

// reasonUnchanged marks a row whose renewal Graph accepted without moving its expiry.
const reasonUnchanged = "expiry_unchanged"

// plan names the next step for one subscription. It has layers: what can't be mended, what is close to its end whatever else
// is said, what Graph has asked for, and at last the calm renewal.
func plan(now time.Time, want bool, have model.Subscription) action {
	if beingMade(now, have) {
		return action{step: stepLeave}
	}
	if !want {
		return action{step: stepDelete}
	}
	if have.GraphID == "" {
		return action{step: stepCreate}
	}
	switch {
	case have.Lifecycle == model.LifecycleSubscriptionRemoved:
		return action{step: stepReplace, why: whyRemoved}
	case have.State == model.SubscriptionExpired, !now.Before(have.ExpiresAt):
		return action{step: stepReplace, why: whyExpired}
	case have.Silent:
		return action{step: stepReplace, why: whySilent}
	case have.Reason == reasonUnchanged && have.Attempts >= stuckAfter:
		return action{step: stepReplace, why: whyStuck}
	}
	next := planLiving(now, have)
	next.sweep = have.Lifecycle == model.LifecycleMissed
	return next
}

// makingTime is how long a creation may take, from the writing of its row to the writing of its outcome.
const makingTime = 40 * time.Second

// beingMade says that a creation is under way, or was when a process died. Writing a row before the creation ends its
// writer's claim, so that whatever is noted on the row meanwhile, a second session for one, lets somebody else claim it.
func beingMade(now time.Time, have model.Subscription) bool {
	return have.GraphID == "" && have.ClientState != "" && now.Before(have.GrantedAt.Add(makingTime))
}

// planLiving decides for a subscription that Graph has, as far as we know.
func planLiving(now time.Time, have model.Subscription) action {
	renewAt, lastCall := renewalTime(have), lastCallTime(have)
	switch {
	case !now.Before(lastCall):
		return action{step: stepRenew}
	case have.Lifecycle == model.LifecycleReauthorizationRequired:
		return planReauthorization(now, have, renewAt, lastCall)
	case now.Before(renewAt):
		return action{at: renewAt}
	}
	if hold := have.ReauthorizedAt.Add(apart); now.Before(hold) {
		return action{at: earliest(hold, lastCall)}
	}
	return action{step: stepRenew}
}

// planReauthorization answers Graph's demand. Far from the renewal the lighter call will do; it is never made so late that
// the renewal would have to wait for it, nor soon after a renewal, which has done its work already.
func planReauthorization(now time.Time, have model.Subscription, renewAt, lastCall time.Time) action {
	refreshed := latest(have.GrantedAt, have.RenewedAt, have.ReauthorizedAt)
	if echo := refreshed.Add(min(fresh, life(have)/8)); now.Before(echo) {
		return action{at: earliest(echo, lastCall)}
	}
	mayReauthorize := !now.Before(have.RenewedAt.Add(apart)) && !renewAt.Before(now.Add(apart))
	mayRenew := !now.Before(have.ReauthorizedAt.Add(apart))
	switch {
	case mayReauthorize:
		return action{step: stepReauthorize}
	case mayRenew:
		return action{step: stepRenew}
	}
	return action{at: earliest(have.ReauthorizedAt.Add(apart), lastCall)}
}

// life is how long Graph granted.
func life(have model.Subscription) time.Duration {
	return max(have.ExpiresAt.Sub(have.GrantedAt), 0)
}

// renewalTime is when the first try is due: after half of the life, and up to a fifth of it later. That part differs from
// subscription to subscription and from grant to grant, so that what was created at once is not renewed at once.
func renewalTime(have model.Subscription) time.Time {
	l := life(have)
	return have.GrantedAt.Add(l/2 + time.Duration(fraction(have)*float64(l)/5))
}

// lastCallTime is when a tenth of the life is left: from then on nothing is waited for.
func lastCallTime(have model.Subscription) time.Time {
	return have.ExpiresAt.Add(-life(have) / 10)
}

// fraction is at least 0 and below 1, always the same for one grant and evenly spread over many.
func fraction(have model.Subscription) float64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, have.Tenant)
	_, _ = h.Write([]byte{0})
	_, _ = io.WriteString(h, have.Participant)
	_ = binary.Write(h, binary.LittleEndian, have.GrantedAt.UnixMicro())
	// FNV mixes its last bytes poorly into the high bits; this finalizer (SplitMix64's) spreads them.
	x := h.Sum64()
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}

// backoff bounds the pauses between tries.
type backoff struct{ shortest, longest time.Duration }

// after is the pause after the nth failure in a row, doubling from shortest to longest.
func (b backoff) after(n int) time.Duration {
	pause := b.shortest
	for range n - 1 {
		if pause >= b.longest/2 {
			return b.longest
		}
		pause *= 2
	}
	return min(pause, b.longest)
}

// smallestStep keeps tries for a life of seconds from becoming a storm.
const smallestStep = 50 * time.Millisecond

// retryTime is when to try again after a failure. have counts the failure already; told is what Graph asked us to wait, 0
// when it didn't; spread is at least 0 and below 1. While a subscription is alive, the pauses shrink with what is left of
// its life, so that however long the outage, some twenty tries remain after any moment before the end.
func retryTime(now time.Time, have model.Subscription, b backoff, told time.Duration, spread float64) time.Time {
	pause := b.after(have.Attempts)
	if left := have.ExpiresAt.Sub(now); have.GraphID != "" && left > 0 {
		pause = min(pause, max(left/16, smallestStep))
	}
	pause = max(pause-time.Duration(spread*float64(pause)/4), told)
	if told > 0 {
		pause += time.Duration(spread * float64(min(told, time.Second)))
	}
	return now.Add(pause)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
