package model

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// fields are the JSON object of a change's Before or After.
type fields map[string]any

// difference collects the changes that lead from one session to the next.
type difference struct {
	before   Session
	after    Session
	observed Observation
	terms    Terms
	// base is what Outlook last showed. Against it stands what somebody did there since.
	base Seen
	// request is the platform's, to be changed; nil when nothing is wanted.
	request *Request
	// written says that the observation is the answer to a write of ours, and confirmed that the write was the whole request.
	written   bool
	confirmed bool
	// news says that the observation is of another version than the one that the session holds.
	news bool
	// rebooked says that the event is gone and another one is wanted: then the request is the session's.
	rebooked bool
	changes  []Change
	opened   *Pending
	closed   []closed
}

func newDifference(s Session, o Observation, t Terms) difference {
	d := difference{
		before: s, after: verified(s, o), observed: o, terms: t, written: t.Applied != nil, news: !sameVersion(s, o),
		// An event that nobody has seen yet was booked: it was on.
		base: Seen{StartsAt: s.StartsAt, EndsAt: s.EndsAt, Cancelled: s.Status == SessionCancelled && s.EventID != ""},
	}
	if s.Seen != nil {
		d.base = *s.Seen
	}
	if s.Request == nil {
		return d
	}
	r := *s.Request
	d.request = &r
	if s.Seen == nil {
		d.base.People = s.people()
	}
	d.confirmed = d.written && t.Applied.Version == r.Version
	if r.Kind == RequestCancel && o.Found && !o.Cancelled {
		d.confirmed = false
	}
	return d
}

// settlement brings everything together.
func (d *difference) settlement() Settlement {
	s := &d.after
	if d.request != nil && d.confirmed {
		d.confirm()
	}
	if !d.rebooked {
		if d.request != nil && d.request.Kind == RequestBook && s.EventID != "" {
			d.request.Kind = RequestChange
		}
		s.Request = d.request
		view := d.view()
		if d.request != nil && d.observed.Found {
			d.request.shown(view)
		}
		s.Seen = s.remembered(view)
	}
	s.State = s.standing()
	verdict := VerdictUnchanged
	if len(d.changes) > 0 {
		verdict = VerdictChanged
	}
	return Settlement{Session: *s, Changes: d.changes, Verdict: verdict, Opened: d.opened, closed: d.closed}
}

// confirm closes the request, unless the event shows only an earlier wish.
func (d *difference) confirm() {
	r := d.request
	if r.Kind == RequestCancel {
		d.request = nil
		return
	}
	if r.Kind == RequestChange {
		r.Title = false // What a booking wrote may be an earlier title: the event may have been there.
	}
	r.Kind = RequestChange
	if !r.Times && !r.People && !r.Title {
		d.request = nil
	}
}

// view is what must be remembered of the observation.
func (d *difference) view() Seen {
	v := Seen{StartsAt: d.observed.StartsAt, EndsAt: d.observed.EndsAt, Cancelled: d.observed.Cancelled}
	if !d.observed.Found {
		v = d.base
		v.Cancelled = true
		return v
	}
	if d.request != nil {
		v.People = make([]string, 0, len(d.observed.Attendees))
		for _, a := range d.observed.Attendees {
			v.People = append(v.People, strings.ToLower(a.Email))
		}
		slices.Sort(v.People)
	}
	return v
}

// vanish is what a reading means that found no event.
func (d *difference) vanish() {
	d.after.Vanished = true
	if d.request != nil && d.request.Kind == RequestCancel {
		d.cancelled()
		return
	}
	if d.before.Status == SessionScheduled && !d.base.Cancelled {
		// A gone event has no time of its own: nobody can tell when it went, but it has gone by now.
		d.cancelIn(d.observed.ReadAt)
	}
}

// cancelled closes a request to cancel: there is no meeting any more. What is read of the event from now on must be newer to
// count: it may be shown for a while as it was before.
func (d *difference) cancelled() {
	d.request = nil
	if !d.observed.Found {
		d.after.LastModifiedAt = latest(d.after.LastModifiedAt, d.observed.ReadAt)
	}
}

// compare finds every change of a newer version of the event.
func (d *difference) compare() {
	wasOn, isOn := d.before.Status == SessionScheduled, !d.observed.Cancelled
	switch {
	case wasOn && !isOn:
		if !d.base.Cancelled {
			d.cancelIn(d.observed.LastModifiedAt)
		}
		return
	case !wasOn && !isOn:
		if d.request != nil && d.request.Kind == RequestCancel {
			d.cancelled()
		}
		d.times()
		d.takeOver()
		return
	case !wasOn && !d.base.Cancelled:
		// The platform has called it off, and Outlook is yet to be told.
		d.times()
		d.takeOver()
		return
	case !wasOn:
		d.after.Status, d.after.Lost = SessionScheduled, false
		d.add(KindReinstated, fields{"status": SessionCancelled}, fields{"status": SessionScheduled}, "")
	case d.base.Cancelled:
		d.withdraw(KindCancelled)
	}
	moved := d.times() || d.written && d.before.ReadAt == nil
	d.link()
	d.attendees(moved)
}

// cancelIn is what it means that somebody called the meeting off in Outlook at that time.
func (d *difference) cancelIn(at time.Time) {
	if r := d.request; r != nil && (r.Times || r.People) {
		if !at.After(r.RequestedAt) {
			d.supersede(SourceOutlook, fields{"status": SessionCancelled}, d.wanted())
			d.drop()
			d.after.rebook(*r)
			d.rebooked = true
			return
		}
		if d.policy(d.terms.Policy.Cancel) == PolicyApply {
			d.supersede(SourcePlatform, d.wanted(), fields{"status": SessionCancelled})
			d.after.Lost = true
		}
	}
	d.request = nil
	d.drop() // There is nothing left to be moved.
	switch d.policy(d.terms.Policy.Cancel) {
	case PolicyAsk:
		d.wait(KindCancelled, fields{"status": SessionScheduled}, fields{"status": SessionCancelled})
	case PolicyNotify:
		d.add(KindCancelled, fields{"status": SessionScheduled}, fields{"status": SessionCancelled}, "").Applied = false
	case PolicyApply:
		d.cancel()
		if d.observed.Found {
			d.takeOver()
		}
	}
}

// policy is what is done with a change of Outlook's. The first reading of a session only learns how the event is.
func (d *difference) policy(choice PolicyChoice) PolicyChoice {
	if choice == "" || d.before.ReadAt == nil {
		return PolicyApply
	}
	return choice
}

// wanted are the wishes of the request that is open.
func (d *difference) wanted() fields {
	f := fields{"status": SessionScheduled}
	if d.request.Times {
		f["starts_at"], f["ends_at"] = d.before.StartsAt, d.before.EndsAt
	}
	if d.request.People {
		people := make([]fields, 0, len(d.before.Attendees))
		for _, a := range d.before.Attendees {
			people = append(people, person(a))
		}
		f["attendees"] = people
	}
	return f
}

// cancel adds a cancellation. Times that moved with it are part of it: to people it is one act.
func (d *difference) cancel() {
	d.after.Status = SessionCancelled
	before, after := fields{"status": SessionScheduled}, fields{"status": SessionCancelled}
	if o := d.observed; o.Found && !d.base.showsTimes(o.StartsAt, o.EndsAt) {
		d.after.StartsAt, d.after.EndsAt = o.StartsAt, o.EndsAt
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

// link takes over the join link. Whoever had none only learns it from the first reading and from the answer to a write.
func (d *difference) link() {
	d.after.JoinURL = d.observed.JoinURL
	learns := d.before.JoinURL == "" && (d.before.ReadAt == nil || d.written)
	if d.before.JoinURL == d.after.JoinURL || learns {
		return
	}
	d.add(KindMeetingLinkChanged,
		fields{"join_url": nullString(d.before.JoinURL)}, fields{"join_url": nullString(d.after.JoinURL)}, "")
}

// wait lets a change wait for the platform's answer, in place of an older one.
func (d *difference) wait(kind ChangeKind, before, after fields) {
	d.drop()
	d.opened = &Pending{
		ID: d.terms.PendingID, Tenant: d.after.Tenant, Session: d.after.ID, Kind: kind, Status: PendingOpen,
		Before: marshalFields(before), After: marshalFields(after), OccurredAt: d.observed.LastModifiedAt,
	}
	d.after.Pending = &OpenPending{ID: d.terms.PendingID, Kind: kind}
	after["pending_id"], after["kind"] = d.terms.PendingID, kind
	d.add(KindChangePending, before, after, "")
}

// withdraw ends the waiting for an answer to a change that people took back in Outlook.
func (d *difference) withdraw(kind ChangeKind) {
	if p := d.after.Pending; p != nil && p.Kind == kind {
		d.drop()
	}
}

// drop ends the waiting for an answer.
func (d *difference) drop() {
	p := d.after.Pending
	if p == nil {
		return
	}
	d.after.Pending = nil
	d.closed = append(d.closed, closed{p.ID, PendingWithdrawn})
}

func (d *difference) supersede(loser Source, before, after fields) {
	d.add(KindSuperseded, before, after, "").Source = loser
}

func (d *difference) add(kind ChangeKind, before, after fields, participant string) *Change {
	d.after.Version++
	d.changes = append(d.changes, Change{
		Tenant: d.after.Tenant, Session: d.after.ID, Version: d.after.Version,
		Kind: kind, Source: SourceOutlook, Applied: true,
		Before: marshalFields(before), After: marshalFields(after),
		Participant: participant, OccurredAt: d.observed.LastModifiedAt,
	})
	return &d.changes[len(d.changes)-1]
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
