package model

import (
	"encoding/json"
	"time"
)

// Verdict is what came of comparing a session with an observation of its event.
type Verdict uint8

// The verdicts: the session differed, it did not, or the observation is older than what the session already holds.
const (
	VerdictUnchanged Verdict = iota
	VerdictChanged
	VerdictStale
)

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
	o = normalized(o)
	switch {
	case stale(s, o):
		return s, nil, VerdictStale
	case !o.Found:
		return vanish(s, o)
	case sameVersion(s, o):
		return verified(s, o), nil, VerdictUnchanged
	}
	d := difference{before: s, after: verified(s, o), observed: o}
	d.compare()
	if len(d.changes) == 0 {
		return d.after, nil, VerdictUnchanged
	}
	return d.after, d.changes, VerdictChanged
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
	s.State = OutlookInSync
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

// vanish is what a reading means that found no event.
func vanish(s Session, o Observation) (Session, []Change, Verdict) {
	d := difference{before: s, after: verified(s, o), observed: o}
	d.after.Vanished = true
	if s.Status == SessionCancelled {
		return d.after, nil, VerdictUnchanged
	}
	d.after.Status = SessionCancelled
	d.add(KindCancelled, fields{"status": s.Status}, fields{"status": SessionCancelled}, "")
	return d.after, d.changes, VerdictChanged
}

// fields are the JSON object of a change's Before or After.
type fields map[string]any

// difference collects the changes that lead from one session to the next.
type difference struct {
	before   Session
	after    Session
	observed Observation
	changes  []Change
}

// compare finds every change of a newer version of the event.
func (d *difference) compare() {
	wasOn, isOn := d.before.Status == SessionScheduled, !d.observed.Cancelled
	d.after.StartsAt, d.after.EndsAt = d.observed.StartsAt, d.observed.EndsAt
	switch {
	case wasOn && !isOn:
		d.cancel()
		d.takeOver()
		return
	case !wasOn && !isOn:
		d.reschedule()
		d.takeOver()
		return
	case !wasOn:
		d.after.Status = SessionScheduled
		d.add(KindReinstated, fields{"status": SessionCancelled}, fields{"status": SessionScheduled}, "")
	}
	moved := d.reschedule()
	d.link()
	d.attendees(moved)
}

// cancel adds a cancellation. Times that moved with it are part of it: to people it is one act.
func (d *difference) cancel() {
	d.after.Status = SessionCancelled
	before, after := fields{"status": SessionScheduled}, fields{"status": SessionCancelled}
	if d.moved() {
		before["starts_at"], before["ends_at"] = d.before.StartsAt, d.before.EndsAt
		after["starts_at"], after["ends_at"] = d.after.StartsAt, d.after.EndsAt
	}
	d.add(KindCancelled, before, after, "")
}

// takeOver silently stores what nobody needs to hear of a meeting that is off.
func (d *difference) takeOver() {
	d.after.JoinURL = d.observed.JoinURL
	d.after.Attendees = make([]Attendee, 0, len(d.observed.Attendees))
	for _, o := range d.observed.Attendees {
		d.after.Attendees = append(d.after.Attendees, matched(d.before.Attendees, o))
	}
}

func (d *difference) moved() bool {
	return !d.before.StartsAt.Equal(d.after.StartsAt) || !d.before.EndsAt.Equal(d.after.EndsAt)
}

func (d *difference) reschedule() bool {
	if !d.moved() {
		return false
	}
	d.add(KindRescheduled,
		fields{"starts_at": d.before.StartsAt, "ends_at": d.before.EndsAt},
		fields{"starts_at": d.after.StartsAt, "ends_at": d.after.EndsAt}, "")
	return true
}

// link takes over the join link. The first reading of a session only learns it.
func (d *difference) link() {
	d.after.JoinURL = d.observed.JoinURL
	if d.before.JoinURL == d.after.JoinURL || d.before.ReadAt == nil {
		return
	}
	d.add(KindMeetingLinkChanged,
		fields{"join_url": nullString(d.before.JoinURL)}, fields{"join_url": nullString(d.after.JoinURL)}, "")
}

func (d *difference) add(kind ChangeKind, before, after fields, participant string) {
	d.after.Version++
	d.changes = append(d.changes, Change{
		Tenant: d.after.Tenant, Session: d.after.ID, Version: d.after.Version,
		Kind: kind, Source: SourceOutlook,
		Before: marshalFields(before), After: marshalFields(after),
		Participant: participant, OccurredAt: d.observed.LastModifiedAt,
	})
}

// marshalFields can't fail: the values are strings, times, identities and RSVPs, and Outlook's times are in years 1 to
// 9999. A time outside of what JSON can say is refused by returning null rather than half an object.
func marshalFields(f fields) json.RawMessage {
	if f == nil {
		return nil
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil
	}
	return b
}

func latest(stored *time.Time, t time.Time) *time.Time {
	if stored != nil && !t.After(*stored) {
		return stored
	}
	return &t
}
