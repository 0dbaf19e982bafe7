package model

import "time"

// Verdict is what came of comparing a session with an observation of its event.
type Verdict uint8

// The verdicts: the session differed, it did not, or the observation is older than what the session already holds.
const (
	VerdictUnchanged Verdict = iota
	VerdictChanged
	VerdictStale
)

// Terms are what a session and its event are settled under.
type Terms struct {
	Policy Policy
	// Applied is set when the observation was made by writing the session's request into Outlook.
	Applied *Applied
	// PendingID names the pending change, if the observation opens one.
	PendingID string
}

// Settlement is what comes of comparing a session with an observation of its event.
type Settlement struct {
	Session Session
	Changes []Change
	Verdict Verdict
	// Opened is the change that waits for the platform's answer from now on; nil when there is no new one. It lacks what only
	// the store knows: Number and ReceivedAt, and OccurredAt when the event was not found.
	Opened *Pending
	closed []closed
}

// Reconcile compares a session with an observation of its event. It returns the session as it is afterwards and one
// change, in order, for each thing that people did to the event. Every change raises the version by one.
//
// The changes lack what only the store knows: ID, Cursor, Cause, ReceivedAt and AppliedAt, and OccurredAt when the event
// was not found.
//
// Observations may come in any order and any number of times: what is older than the session, or as old, changes nothing.
// Outlook's lastModifiedDateTime orders versions of an event, and ReadAt orders what that can't: two versions of one time,
// and readings that found no event. Times are compared in microseconds, which is what PostgreSQL keeps.
func Reconcile(s Session, o Observation) (next Session, changes []Change, verdict Verdict) {
	settled := Settle(s, o, Terms{})
	return settled.Session, settled.Changes, settled.Verdict
}

// Settle is Reconcile for a session that the platform may have wishes for, and under the tenant's policy.
//
// What Outlook has not changed since it was last seen stays as the platform wants it. Where both sides changed the same, the
// later intention wins: Outlook's lastModifiedDateTime against the time of the request. The loser goes on record as
// KindSuperseded, and a wish that lost is not in the request any more. What shows our own hand is no intention of anybody.
func Settle(s Session, o Observation, t Terms) Settlement {
	o = normalized(o)
	if s.Request == nil || t.Applied != nil && t.Applied.Version == 0 && s.EventID != "" {
		t.Applied = nil // The request was closed, or the event found, by another reading: what this one shows is as any other.
	}
	switch {
	case s.EventID == "" && t.Applied == nil:
		return Settlement{Session: s, Verdict: VerdictStale} // Whatever was read is not the event that is being booked.
	case stale(s, o) && t.Applied == nil:
		return Settlement{Session: s, Verdict: VerdictStale}
	case stale(s, o):
		return overtaken(s, o, t)
	case o.Found && sameVersion(s, o) && t.Applied == nil:
		s = verified(s, o)
		s.State = s.standing()
		return Settlement{Session: s}
	}
	d := newDifference(s, o, t)
	if o.Found {
		d.compare()
	} else {
		d.vanish()
	}
	return d.settlement()
}

// overtaken is what a confirmed write means whose answer is older than what has been read since: that it was made.
func overtaken(s Session, o Observation, t Terms) Settlement {
	if t.Applied.Version != s.Request.Version {
		return Settlement{Session: s, Verdict: VerdictStale}
	}
	s.ReadAt = latest(s.ReadAt, o.ReadAt)
	s.Request = nil
	s.Seen = s.remembered(s.seen())
	s.State = s.standing()
	return Settlement{Session: s}
}

// stale says whether the observation shows an older state of the event than the session.
func stale(s Session, o Observation) bool {
	readLater := s.ReadAt == nil || o.ReadAt.After(*s.ReadAt)
	if !o.Found || s.Vanished {
		// A gone event has no time of its own, so what was read later is later.
		if !readLater {
			return true
		}
	}
	if !o.Found || s.LastModifiedAt == nil {
		return false
	}
	switch o.LastModifiedAt.Compare(*s.LastModifiedAt) {
	case -1:
		return true
	case 0:
		return o.ChangeKey != s.ChangeKey && !readLater
	default:
		return false
	}
}

// sameVersion says whether the observation shows the very version of the event that the session holds.
func sameVersion(s Session, o Observation) bool {
	return !s.Vanished && s.LastModifiedAt != nil && o.LastModifiedAt.Equal(*s.LastModifiedAt) && o.ChangeKey == s.ChangeKey
}

// verified is the session with everything taken over that is no change to people.
func verified(s Session, o Observation) Session {
	s.ReadAt = latest(s.ReadAt, o.ReadAt)
	s.VerifiedAt = latest(s.VerifiedAt, o.ReadAt)
	if !o.Found {
		return s
	}
	s.Vanished = false
	s.ChangeKey = o.ChangeKey
	s.SeriesMasterID = o.SeriesMasterID
	s.OriginalStart = o.OriginalStart
	s.LastModifiedAt = &o.LastModifiedAt
	if o.EventID != "" {
		s.EventID = o.EventID
	}
	if o.ICalUID != "" {
		s.ICalUID = o.ICalUID
	}
	return s
}

func latest(stored *time.Time, t time.Time) *time.Time {
	if stored != nil && !t.After(*stored) {
		return stored
	}
	return &t
}
