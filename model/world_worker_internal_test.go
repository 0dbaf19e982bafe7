package model

import (
	"slices"

	"pgregory.net/rapid"
)

// work is one attempt of the worker, which may die at any step. It writes under the etag of its own reading.
func (w *world) work() {
	r := w.session.Request
	if r == nil || !r.Open {
		return
	}
	die := func(step string) bool { return rapid.IntRange(0, 4).Draw(w.T, "dies "+step) == 0 }
	w.try()
	version := r.Version
	if die("after the claim") {
		return
	}
	if w.session.EventID != "" {
		read := w.read()
		w.settle(read, nil)
		r = w.session.Request
		if r == nil || r.Kind == RequestChange && !w.alive() || w.session.EventID == "" {
			return // Done, gone, or to be booked under another claim.
		}
		if rapid.IntRange(0, 3).Draw(w.T, "outlook is faster") == 0 {
			w.moveInOutlook()
			if w.event == nil || w.event.ChangeKey != read.ChangeKey {
				return // 412
			}
		}
		version = r.Version
	}
	if die("before the write") {
		return
	}
	booking := r.Kind == RequestBook
	answer := w.write(*r)
	if booking && !w.shows(answer) {
		version = 0
	}
	if rapid.IntRange(0, 3).Draw(w.T, "meanwhile") == 0 {
		w.anything()
	}
	if die("after the write") {
		return
	}
	confirm := func() {
		if w.session.EventID == "" || answer.EventID == w.session.EventID || !answer.Found {
			w.settle(answer, &Applied{Version: version})
		}
	}
	if rapid.IntRange(0, 3).Draw(w.T, "slow commit") == 0 {
		w.unconfirmed = append(w.unconfirmed, confirm)
		return
	}
	confirm()
}

// shows says whether an event is as the session wants it.
func (w *world) shows(o Observation) bool {
	var people []string
	for _, a := range o.Attendees {
		people = append(people, a.Email)
	}
	return o.StartsAt.Equal(w.session.StartsAt) && slices.Equal(lower(people), w.session.people())
}

// try is what Store.ClaimRequest notes.
func (w *world) try() {
	r := *w.session.Request
	if r.Kind == RequestCancel {
		return
	}
	r.Tried = slices.Clone(r.Tried)
	r.try(w.session)
	w.session.Request = &r
}

// write brings the event to what the session wants, as the worker does and Outlook allows.
func (w *world) write(r Request) Observation {
	s := w.session
	switch {
	case r.Kind == RequestCancel:
		if w.event != nil && (w.event.EventID == s.EventID || w.event.EventID == s.TransactionID()) {
			w.remove()
		}
		return Observation{ReadAt: w.tick()}
	case s.EventID == "":
		id := s.TransactionID()
		if w.event == nil || w.event.EventID != id {
			w.event = &Observation{Found: true, EventID: id}
			w.show(func(e *Observation) { w.fill(e, true, true) })
		}
		return *w.event
	case r.Times || r.People:
		w.show(func(e *Observation) { w.fill(e, r.Times, r.People) })
	}
	return w.read()
}

func (w *world) fill(e *Observation, times, people bool) {
	if times {
		if w.superseded[w.session.StartsAt] {
			w.Fatalf("%v was superseded and is written", w.session.StartsAt)
		}
		if !e.StartsAt.Equal(w.session.StartsAt) {
			for i := range e.Attendees {
				e.Attendees[i].RSVP = RSVP{Response: ResponseNone}
			}
		}
		e.StartsAt, e.EndsAt = w.session.StartsAt, w.session.EndsAt
	}
	if people {
		var invited []ObservedAttendee
		for _, a := range w.session.Attendees {
			o := ObservedAttendee{Email: a.Email, RSVP: RSVP{Response: ResponseNone}}
			if i := slices.IndexFunc(e.Attendees, func(x ObservedAttendee) bool { return x.Email == a.Email }); i >= 0 {
				o = e.Attendees[i]
			}
			invited = append(invited, o)
		}
		e.Attendees = invited
	}
}
