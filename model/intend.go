package model

import (
	"slices"
	"time"
)

// closed is what became of the pending change of a session.
type closed struct {
	id     string
	status PendingStatus
}

// intention is the platform's side of a session: what it asks for, and what that changes at once.
type intention struct {
	before, after Session
	changes       []Change
	closed        []closed
	// version and bookings are those of the newest request, open or not.
	version  int64
	bookings int
	at       time.Time
}

func newIntention(s Session, version int64, bookings int, at time.Time) *intention {
	if s.Request != nil && at.Before(s.Request.RequestedAt) {
		at = s.Request.RequestedAt // Requests are ordered as they came, whatever the clocks of two processes say.
	}
	return &intention{before: s, after: s, version: version, bookings: bookings, at: at}
}

func (in *intention) add(kind ChangeKind, source Source, before, after fields, participant string) {
	in.after.Version++
	in.changes = append(in.changes, Change{
		Tenant: in.after.Tenant, Session: in.after.ID, Version: in.after.Version, Kind: kind, Source: source,
		Cause: CauseRequest, Before: marshalFields(before), After: marshalFields(after), Participant: participant,
		OccurredAt: in.at, ReceivedAt: in.at, Applied: true,
	})
}

func (in *intention) answer(status PendingStatus) {
	if in.after.Pending == nil {
		return
	}
	in.closed = append(in.closed, closed{in.after.Pending.ID, status})
	in.after.Pending = nil
}

// ask opens a request, or adds to the open one. It must be called before what it is about changes in the row.
func (in *intention) ask() *Request {
	s := &in.after
	if s.EventID != "" {
		seen := s.seen()
		if s.Request == nil {
			seen.People = s.people() // While nothing is asked for, Outlook's people are the session's.
		}
		s.Seen = &seen
	}
	r := Request{Kind: RequestChange, Bookings: in.bookings}
	if s.Request != nil {
		r = *s.Request
		r.Tried = slices.Clone(r.Tried)
	}
	if s.EventID == "" {
		r.Kind = RequestBook
	}
	in.version++
	r.Version, r.RequestedAt, r.Open, r.Reason = in.version, in.at, true, ""
	s.Request, s.Lost = &r, false
	return s.Request
}

// gone says whether there is an event of the session that can't be changed any more.
func (in *intention) gone() bool { return in.after.EventID != "" && in.after.seen().Cancelled }

// askAnew asks for another event in place of one that is gone.
func (in *intention) askAnew() {
	r := Request{Version: in.version, RequestedAt: in.at, TimesAt: in.at, Bookings: in.bookings}
	in.after.rebook(r)
	in.version, in.bookings = in.after.Request.Version, in.after.Request.Bookings
}

// put moves the session to what the platform wants of it: times unless zero, people to add and to remove, a title unless
// nil.
func (in *intention) put(starts, ends time.Time, added, removed []Attendee, retitled bool) {
	moves := !starts.IsZero()
	if in.gone() && (moves || len(added)+len(removed) > 0) {
		in.answer(PendingUndone)
		in.askAnew()
	} else {
		r := in.ask()
		if moves {
			r.Times, r.TimesAt = true, in.at
		}
		r.People = r.People || len(added)+len(removed) > 0
		r.Title = r.Title || retitled && (r.Kind == RequestChange || len(r.Tried) > 0)
	}
	if moves {
		in.move(starts, ends)
	}
	in.invite(added, removed)
	in.conclude()
}

func (in *intention) move(starts, ends time.Time) {
	s := &in.after
	in.add(KindRescheduled, SourcePlatform,
		fields{"starts_at": s.StartsAt, "ends_at": s.EndsAt}, fields{"starts_at": starts, "ends_at": ends}, "")
	s.StartsAt, s.EndsAt = starts, ends
	if s.Seen != nil && s.Seen.StartsAt.Equal(starts) && s.Seen.EndsAt.Equal(ends) {
		in.answer(PendingApplied)
	}
	in.answer(PendingUndone)
}

func (in *intention) invite(added, removed []Attendee) {
	s := &in.after
	kept := make([]Attendee, 0, len(s.Attendees)+len(added))
	for _, a := range s.Attendees {
		if _, leaves := find(removed, a.Email); !leaves {
			kept = append(kept, a)
		}
	}
	for _, a := range removed {
		in.add(KindAttendeeRemoved, SourcePlatform, person(a), nil, a.Participant)
	}
	for _, a := range added {
		in.add(KindAttendeeAdded, SourcePlatform, nil, person(a), a.Participant)
	}
	s.Attendees = append(kept, added...)
}

// conclude drops wishes that Outlook has already, unless an attempt at something else is under way.
func (in *intention) conclude() {
	s := &in.after
	if r := s.Request; r != nil && r.Kind == RequestChange && len(r.Tried) == 0 && s.Seen != nil {
		r.Times = r.Times && !s.Seen.showsTimes(s.StartsAt, s.EndsAt)
		r.People = r.People && !slices.Equal(s.Seen.People, s.people())
		if !r.Times && !r.People && !r.Title {
			s.Request = nil
		}
	}
	s.Seen = s.remembered(s.seen())
	s.State = s.standing()
}

// lose puts a wish on record that somebody in Outlook has overtaken before it came.
func (in *intention) lose(starts, ends time.Time) {
	in.add(KindSuperseded, SourcePlatform,
		fields{"starts_at": starts, "ends_at": ends},
		fields{"starts_at": in.after.StartsAt, "ends_at": in.after.EndsAt}, "")
	in.after.Lost = true
	in.after.State = in.after.standing()
}

// cancel calls the session off. What has never been booked needs nobody to cancel it.
func (in *intention) cancel(comment string) {
	s := &in.after
	gone := in.gone()
	booked := s.EventID != "" || s.Request != nil && len(s.Request.Tried) > 0
	if gone && s.Pending != nil && s.Pending.Kind == KindCancelled {
		in.answer(PendingApplied)
	}
	in.answer(PendingUndone)
	r := in.ask()
	in.add(KindCancelled, SourcePlatform,
		fields{"status": SessionScheduled}, fields{"status": SessionCancelled}, "")
	s.Status = SessionCancelled
	r.Kind, r.Comment = RequestCancel, comment
	r.Times, r.People, r.Title = false, false, false
	if gone || !booked {
		s.Request = nil
	}
	s.Seen = s.remembered(s.seen())
	s.State = s.standing()
}

// apply takes over what was done in Outlook.
func (in *intention) apply(p Pending) {
	s := &in.after
	seen := s.seen()
	if p.Kind == KindCancelled {
		s.Status = SessionCancelled
		in.add(KindCancelled, SourceOutlook, fields{"status": SessionScheduled}, fields{"status": SessionCancelled}, "")
	} else {
		before := fields{"starts_at": s.StartsAt, "ends_at": s.EndsAt}
		s.StartsAt, s.EndsAt = seen.StartsAt, seen.EndsAt
		in.add(KindRescheduled, SourceOutlook, before, fields{"starts_at": s.StartsAt, "ends_at": s.EndsAt}, "")
	}
	in.changes[len(in.changes)-1].OccurredAt = p.OccurredAt
	in.answer(PendingApplied)
	s.Seen = s.remembered(seen)
	s.State = s.standing()
}

// undo asks for Outlook to be as it was.
func (in *intention) undo(p Pending) {
	s := &in.after
	in.answer(PendingUndone)
	loses, wins := fields{}, fields{"starts_at": s.StartsAt, "ends_at": s.EndsAt}
	if p.Kind == KindCancelled {
		loses["status"], wins["status"] = SessionCancelled, s.Status
		in.askAnew()
	} else {
		seen := s.seen()
		loses["starts_at"], loses["ends_at"] = seen.StartsAt, seen.EndsAt
		r := in.ask()
		r.Times, r.TimesAt = true, in.at
	}
	in.add(KindSuperseded, SourceOutlook, loses, wins, "")
	s.State = s.standing()
}

// idle says whether nothing was asked for and nothing is different.
func (in *intention) idle() bool {
	return len(in.changes) == 0 && in.after.Request == in.before.Request && in.after.Title == in.before.Title &&
		in.after.TimeZone == in.before.TimeZone
}

func (v Seen) showsTimes(starts, ends time.Time) bool {
	return v.StartsAt.Equal(starts) && v.EndsAt.Equal(ends)
}

// remembered is what must be kept of what Outlook shows: nothing when that is what the session says.
func (s Session) remembered(v Seen) *Seen {
	cancelled := s.Status == SessionCancelled
	if s.EventID == "" || v.Cancelled && cancelled {
		return nil
	}
	same := v.Cancelled == cancelled && v.showsTimes(s.StartsAt, s.EndsAt)
	if s.Request == nil {
		v.People = nil // They are the session's.
		if same {
			return nil
		}
		return &v
	}
	if same && slices.Equal(v.People, s.people()) {
		return nil
	}
	return &v
}

// difference of people between what a session has and what is wanted of it, and what was wanted before. People whom only
// Outlook added or removed are left alone unless the platform has seen them.
func peopleToChange(s Session, want, before []string, all []Attendee, hasSeen bool) (added, removed []Attendee) {
	for _, a := range all {
		_, invitedAlready := find(s.Attendees, a.Email)
		if !invitedAlready && (hasSeen || !slices.Contains(before, a.Participant)) {
			added = append(added, a)
		}
	}
	for _, a := range s.Attendees {
		unwanted := a.Participant != "" && !slices.Contains(want, a.Participant)
		if unwanted && (hasSeen || slices.Contains(before, a.Participant)) {
			removed = append(removed, a)
		}
	}
	return added, removed
}
