package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// world is a session, its event in Outlook, and everybody who acts on the two.
type world struct {
	*rapid.T
	policy Policy
	// rough is when meetings are called off too.
	rough   bool
	session Session
	// version and bookings are the row of the request.
	version  int64
	bookings int
	feed     []Change
	pending  map[string]PendingStatus
	// event is nil while there is none; shown are all readings that could have been made, in order.
	event *Observation
	shown []Observation
	now   time.Time
	n     int
	// lastMove is the time of the last intention about times, on either side, and moved what it was.
	lastMove time.Time
	moved    time.Time
	// superseded are the starts that lost; they must never be written.
	superseded map[time.Time]bool
	// human counts what people did to the times in Outlook.
	human int
	// unconfirmed is an answer to a write that is on its way to the store.
	unconfirmed []func()
}

func newWorld(t *rapid.T, policy Policy) *world {
	w := &world{
		T: t, policy: policy, now: time.Date(2030, 5, 6, 7, 0, 0, 0, time.UTC), superseded: map[time.Time]bool{},
		pending: map[string]PendingStatus{}, version: 1, bookings: 1,
	}
	start := w.newStart()
	w.session = Session{
		Tenant: "t", ID: "s", Status: SessionScheduled, Organizer: "p-1", StartsAt: start, EndsAt: start.Add(time.Hour),
		State: OutlookPending, Version: 1, Attendees: []Attendee{{Participant: "p-2", Email: "p2@x", RSVP: RSVP{Response: ResponseNone}}},
		Request: &Request{Version: 1, RequestedAt: w.now, Kind: RequestBook, Open: true, Times: true, People: true, TimesAt: w.now, Bookings: 1},
	}
	w.moved, w.lastMove = start, w.now
	return w
}

func (w *world) tick() time.Time {
	w.now = w.now.Add(time.Second)
	return w.now
}

// newStart is a time that nobody has named before.
func (w *world) newStart() time.Time {
	w.n++
	return time.Date(2031, 1, 1, 0, w.n, 0, 0, time.UTC)
}

// show notes the event as it is now as something that can be read.
func (w *world) show(edit func(*Observation)) {
	e := *w.event
	e.Attendees = slices.Clone(e.Attendees)
	w.n++
	e.LastModifiedAt, e.ChangeKey = w.tick(), fmt.Sprintf("k%d", w.n)
	edit(&e)
	w.event = &e
	e.ReadAt = w.now
	w.shown = append(w.shown, e)
}

func (w *world) read() Observation {
	o := Observation{ReadAt: w.tick()}
	if w.event != nil {
		o = *w.event
		o.ReadAt = w.now
	}
	return o
}

// settle is what Store.Commit does.
func (w *world) settle(o Observation, applied *Applied) {
	w.n++
	before := w.session
	out := Settle(w.session, o, Terms{Policy: w.policy, Applied: applied, PendingID: fmt.Sprint("p", w.n)})
	w.session = out.Session
	for _, c := range out.closed {
		w.answered(c)
	}
	if out.Opened != nil {
		w.pending[out.Opened.ID] = PendingOpen
	}
	if r := w.session.Request; r != nil {
		w.version, w.bookings = max(w.version, r.Version), max(w.bookings, r.Bookings)
	}
	w.heard(before, out.Changes)
}

func (w *world) answered(c closed) {
	if w.pending[c.id] != PendingOpen {
		w.Fatalf("%s is %s and becomes %s", c.id, w.pending[c.id], c.status)
	}
	w.pending[c.id] = c.status
}

// heard checks that the changes lead from the session before to the session now, each once.
func (w *world) heard(before Session, changes []Change) {
	w.feed = append(w.feed, changes...)
	at := before.StartsAt
	for _, c := range changes {
		var from, to struct {
			StartsAt time.Time `json:"starts_at"`
		}
		if json.Unmarshal(c.Before, &from) != nil || json.Unmarshal(c.After, &to) != nil && c.After != nil {
			continue
		}
		switch {
		case from.StartsAt.IsZero() || to.StartsAt.IsZero():
		case c.Kind == KindRescheduled && c.Applied, c.Kind == KindSuperseded && c.Source == SourcePlatform && from.StartsAt.Equal(at):
			if !from.StartsAt.Equal(at) {
				w.Fatalf("%s from %v, but the session was at %v", c.Kind, from.StartsAt, at)
			}
			at = to.StartsAt
		}
		if c.Kind == KindSuperseded && c.Source == SourcePlatform && !from.StartsAt.IsZero() {
			w.superseded[from.StartsAt] = true
		}
	}
	if !at.Equal(w.session.StartsAt) {
		w.Fatalf("changes lead to %v, the session is at %v: %v", at, w.session.StartsAt, changes)
	}
	if w.session.Version != before.Version+int64(len(changes)) {
		w.Fatalf("version %d after %d changes of %d", w.session.Version, len(changes), before.Version)
	}
}

// intend is what the Store does with an intention of the platform.
func (w *world) intend(do func(*intention)) {
	before := w.session
	in := newIntention(w.session, w.version, w.bookings, w.tick())
	do(in)
	w.session = in.after
	if r := in.after.Request; r != nil {
		w.version, w.bookings = max(w.version, r.Version), max(w.bookings, r.Bookings)
	}
	for _, c := range in.closed {
		w.answered(c)
	}
	w.heard(before, in.changes)
}

func (w *world) put() {
	if w.session.Status == SessionCancelled {
		return
	}
	start := w.newStart()
	w.intend(func(in *intention) { in.put(start, start.Add(time.Hour), nil, nil, false) })
	w.moved, w.lastMove = start, w.now
}

func (w *world) invite() {
	if w.session.Status == SessionCancelled {
		return
	}
	if len(w.session.Attendees) > 0 && rapid.Bool().Draw(w.T, "uninvite") {
		gone := w.session.Attendees[:1]
		w.intend(func(in *intention) { in.put(time.Time{}, time.Time{}, nil, slices.Clone(gone), false) })
		return
	}
	w.n++
	a := Attendee{Participant: fmt.Sprint("n-", w.n), Email: fmt.Sprintf("N%d@x", w.n), RSVP: RSVP{Response: ResponseNone}}
	w.intend(func(in *intention) { in.put(time.Time{}, time.Time{}, []Attendee{a}, nil, false) })
}

func (w *world) alive() bool { return w.event != nil && !w.event.Cancelled }

func (w *world) moveInOutlook() {
	if !w.alive() {
		return
	}
	w.human++
	start := w.newStart()
	w.show(func(e *Observation) {
		e.StartsAt, e.EndsAt = start, start.Add(time.Hour)
		for i := range e.Attendees {
			e.Attendees[i].RSVP = RSVP{Response: ResponseNone}
		}
	})
	w.moved, w.lastMove = start, w.now
}

// known reads the event before something else than its times is changed: from Outlook's time of a version nobody can tell
// when an earlier move, which was not read, was made.
func (w *world) known() bool {
	if !w.alive() || w.session.EventID != w.event.EventID {
		return false
	}
	w.hearNow()
	return true
}

func (w *world) answerInOutlook() {
	if !w.known() || len(w.event.Attendees) == 0 {
		return
	}
	w.show(func(e *Observation) {
		e.Attendees[0].RSVP = RSVP{Response: ResponseAccepted, RespondedAt: new(w.now)}
	})
}

func (w *world) peopleInOutlook() {
	if !w.known() {
		return
	}
	w.show(func(e *Observation) {
		if len(e.Attendees) > 0 && rapid.Bool().Draw(w.T, "remove") {
			e.Attendees = e.Attendees[1:]
			return
		}
		e.Attendees = append(e.Attendees, ObservedAttendee{Email: fmt.Sprintf("O%d@x", w.n), RSVP: RSVP{Response: ResponseNone}})
	})
}

// hear is a notification or the sweep: any reading that could have been made, however old.
func (w *world) hear() {
	if len(w.shown) == 0 {
		return
	}
	o := w.shown[rapid.IntRange(0, len(w.shown)-1).Draw(w.T, "reading")]
	if w.session.EventID == o.EventID {
		w.settle(o, nil)
	}
}

func (w *world) hearNow() {
	if w.session.EventID != "" && (w.event == nil || w.event.EventID == w.session.EventID) {
		w.settle(w.read(), nil)
	}
}

// remove takes the event away; whoever read it before has read it.
func (w *world) remove() {
	w.shown = append(w.shown, Observation{EventID: w.event.EventID, ReadAt: w.tick()})
	w.event = nil
}

// cancelInOutlook marks the event, or takes it away, as mailboxes do.
func (w *world) cancelInOutlook() {
	if !w.known() {
		return
	}
	if rapid.Bool().Draw(w.T, "vanishes") {
		w.remove()
		return
	}
	w.show(func(e *Observation) { e.Cancelled = true })
}

func (w *world) callOff() {
	if w.session.Status == SessionScheduled {
		w.intend(func(in *intention) { in.cancel("") })
	}
}

// answer is the platform's to what waits for it.
func (w *world) answer() {
	if w.session.Pending == nil {
		return
	}
	p := Pending{ID: w.session.Pending.ID, Kind: w.session.Pending.Kind, OccurredAt: w.now}
	do := (*intention).apply
	if rapid.Bool().Draw(w.T, "undo") {
		do = (*intention).undo
	}
	w.intend(func(in *intention) { do(in, p) })
}

func (w *world) confirmLate() {
	if len(w.unconfirmed) == 0 {
		return
	}
	w.unconfirmed[0]()
	w.unconfirmed = w.unconfirmed[1:]
}

func (w *world) anything() {
	acts := []func(){
		w.put, w.moveInOutlook, w.hear, w.hear, w.hearNow, w.work, w.work, w.invite, w.answerInOutlook, w.peopleInOutlook,
		w.confirmLate,
	}
	if w.rough {
		acts = append(acts, w.cancelInOutlook, w.callOff, w.answer, w.answer)
	}
	acts[rapid.IntRange(0, len(acts)-1).Draw(w.T, "act")]()
}

// rest lets the worker and the sweep run until nothing is left to do.
func (w *world) rest() {
	for range 20 {
		for len(w.unconfirmed) > 0 {
			w.confirmLate()
		}
		w.hearNow()
		r := w.session.Request
		if r == nil {
			return
		}
		w.try()
		version, booking := r.Version, r.Kind == RequestBook
		answer := w.write(*r)
		if booking && !w.shows(answer) {
			version = 0
		}
		w.settle(answer, &Applied{Version: version})
	}
	w.Fatalf("the request never ends: %+v", w.session.Request)
}
