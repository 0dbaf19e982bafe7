package model

import (
	"slices"
	"strings"
	"time"
)

// person is how an attendee is named in attendee_added and attendee_removed.
func person(a Attendee) fields {
	return fields{"email": a.Email, "participant": nullString(a.Participant)}
}

// attendees compares who is invited and what they answered. The session's attendees end in Outlook's order, and after them
// those whom the platform wants and Outlook doesn't have yet.
func (d *difference) attendees(moved bool) {
	wished := d.request != nil && d.request.People
	open := false
	d.after.Attendees = make([]Attendee, 0, len(d.observed.Attendees))
	var awaited []Attendee
	for _, a := range d.before.Attendees {
		switch {
		case invited(d.observed.Attendees, a.Email):
		case wished && d.wanting(a.Email, false):
			open = true
			a.RSVP = RSVP{Response: ResponseNone}
			awaited = append(awaited, a)
		default:
			d.add(KindAttendeeRemoved, person(a), nil, a.Participant)
		}
	}
	for _, o := range d.observed.Attendees {
		now := matched(d.before.Attendees, o)
		was, known := find(d.before.Attendees, o.Email)
		if !known {
			if wished && d.wanting(o.Email, true) {
				open = true
				continue
			}
			was = Attendee{RSVP: RSVP{Response: ResponseNone}}
			d.add(KindAttendeeAdded, nil, person(now), now.Participant)
		}
		d.after.Attendees = append(d.after.Attendees, now)
		d.answer(now, was.RSVP, moved)
	}
	d.after.Attendees = append(d.after.Attendees, awaited...)
	if wished && d.confirmed {
		d.request.People = open
	}
}

// wanting says whether the difference about one person is a wish that Outlook doesn't have yet, and not something that
// somebody did there. Shown says which of the two it is: the event has the person and the session has not, or the reverse.
func (d *difference) wanting(email string, shown bool) bool {
	if d.booked() {
		// It was booked as one of what was tried.
		return slices.ContainsFunc(d.request.Tried, func(w Wish) bool { return invites(w.Added, email) == shown })
	}
	own := slices.ContainsFunc(d.request.Tried, func(w Wish) bool {
		return shown && invites(w.Added, email) || !shown && invites(w.Removed, email)
	})
	switch asBefore := invites(d.base.People, email) == shown; {
	case d.confirmed && d.news:
		// All was written: what differs is an earlier wish of ours, or somebody's doing.
		return own && !asBefore
	case d.written && !d.confirmed:
		return true
	default:
		return asBefore || own
	}
}

// answer adds the change that one attendee's answer is, if it is one. Outlook resets all answers when a meeting moves, and
// nobody took that one back.
func (d *difference) answer(a Attendee, was RSVP, moved bool) {
	now := a.RSVP
	if was.equal(now) || moved && now.equal(RSVP{Response: ResponseNone}) {
		return
	}
	kind := KindRSVPChanged
	if now.ProposedStart != nil && !was.proposesLike(now) {
		kind = KindTimeProposed
	}
	d.add(kind, fields{"rsvp": was}, fields{"rsvp": now}, a.Participant)
}

// matched is the observed attendee under the name by which the session knows them.
func matched(known []Attendee, o ObservedAttendee) Attendee {
	a, ok := find(known, o.Email)
	if !ok {
		return Attendee{Participant: o.Participant, Email: o.Email, RSVP: o.RSVP}
	}
	if a.Participant == "" {
		a.Participant = o.Participant
	}
	a.RSVP = o.RSVP
	return a
}

func find(attendees []Attendee, email string) (Attendee, bool) {
	for _, a := range attendees {
		if strings.EqualFold(a.Email, email) {
			return a, true
		}
	}
	return Attendee{}, false
}

func invited(observed []ObservedAttendee, email string) bool {
	for _, o := range observed {
		if strings.EqualFold(o.Email, email) {
			return true
		}
	}
	return false
}

func (r RSVP) equal(other RSVP) bool {
	return r.Response == other.Response && sameTime(r.RespondedAt, other.RespondedAt) && r.proposesLike(other)
}

func (r RSVP) proposesLike(other RSVP) bool {
	return sameTime(r.ProposedStart, other.ProposedStart) && sameTime(r.ProposedEnd, other.ProposedEnd)
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// normalized is the observation in the shape in which it can be compared with what is stored: times in UTC and
// microseconds, sentinels for "no time" gone, each attendee once.
func normalized(o Observation) Observation {
	o.ReadAt = stored(o.ReadAt)
	o.LastModifiedAt = stored(o.LastModifiedAt)
	o.StartsAt, o.EndsAt = stored(o.StartsAt), stored(o.EndsAt)
	if o.OriginalStart != nil {
		t := stored(*o.OriginalStart)
		o.OriginalStart = &t
	}
	attendees := make([]ObservedAttendee, 0, len(o.Attendees))
	for _, a := range o.Attendees {
		if invited(attendees, a.Email) {
			continue
		}
		a.RSVP = a.RSVP.normalized()
		attendees = append(attendees, a)
	}
	o.Attendees = attendees
	return o
}

// normalized reads Outlook's sentinels: an answer that nobody gave has the year 1, and one that a new time has reset the
// year 4501. https://learn.microsoft.com/graph/outlook-calendar-meeting-proposals
func (r RSVP) normalized() RSVP {
	if r.Response == "" {
		r.Response = ResponseNone
	}
	r.RespondedAt = realTime(r.RespondedAt)
	if r.Response == ResponseNone {
		r.RespondedAt = nil
	}
	r.ProposedStart, r.ProposedEnd = realTime(r.ProposedStart), realTime(r.ProposedEnd)
	if r.ProposedStart == nil || r.ProposedEnd == nil {
		r.ProposedStart, r.ProposedEnd = nil, nil
	}
	return r
}

func realTime(t *time.Time) *time.Time {
	if t == nil || t.UTC().Year() <= 1 || t.UTC().Year() >= 4501 {
		return nil
	}
	s := stored(*t)
	return &s
}

// stored is the time as PostgreSQL gives it back.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
