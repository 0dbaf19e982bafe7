package workers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
	"pairsync/workers"
)

// wish is a session of ada's with grace as the platform wants it.
func (h *house) wish(start time.Time) model.SessionRequest {
	return model.SessionRequest{
		Tenant: h.tenant, ID: "w-" + time.Duration(h.linked.Add(1)).String(), Organizer: "ada", Attendees: []string{"grace"},
		StartsAt: start, EndsAt: start.Add(30 * time.Minute), TimeZone: "Europe/Berlin", Title: "Mentoring", OnlineMeeting: "teams",
	}
}

// put asks for a session.
func (h *house) put(r model.SessionRequest) model.Session {
	h.t.Helper()
	s, _, err := h.store.PutSession(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// putAt asks for a session at another time.
func (h *house) putAt(r model.SessionRequest, start time.Time) model.SessionRequest {
	h.t.Helper()
	r.EndsAt = start.Add(r.EndsAt.Sub(r.StartsAt))
	r.StartsAt = start
	h.put(r)
	return r
}

// booking asks for a session and waits until it is in Outlook.
func (h *house) booking() (model.SessionRequest, model.Session) {
	h.t.Helper()
	r := h.wish(h.nextHour())
	h.put(r)
	return r, h.settled(r.ID)
}

// settled waits until nothing stands between a session and its event.
func (h *house) settled(session string) model.Session {
	h.t.Helper()
	return h.wait(session, "to be in sync", inSync)
}

func (h *house) callOff(session, comment string) {
	h.t.Helper()
	if _, err := h.store.CancelSession(h.t.Context(), h.tenant, session, comment, time.Now()); err != nil {
		h.t.Fatal(err)
	}
}

// start runs a process of workers of its own, which tells steps of each step that it made.
func (h *house) start(steps func(ctx, string)) (stop func()) {
	h.t.Helper()
	h.registry = prometheus.NewRegistry() // Each process has its own.
	w, err := workers.New(h.workers, h.deps())
	if err != nil {
		h.t.Fatal(err)
	}
	if steps != nil {
		w.Steps(steps)
	}
	return testbed.Run(h.t, "the workers", w.Run)
}

// calendar is what a person's calendar shows of all the hours that the house has given out.
func (h *house) calendar(u simulator.User) []simulator.View {
	h.t.Helper()
	views, err := h.sim.Calendar(u.Email, time.Now(), time.Now().Add(1000*time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	return views
}

func (h *house) event(id string) simulator.View {
	h.t.Helper()
	v, err := h.sim.Event(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// story are a session's changes in order, each as its source and kind.
func (h *house) story(session string) []string {
	h.t.Helper()
	var all []string
	for _, ch := range h.changes(session) {
		all = append(all, string(ch.Source)+" "+string(ch.Kind))
	}
	return all
}

func (h *house) tells(session string, want ...string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.story(session)); diff != "" {
		h.t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	r := h.wish(h.nextHour())
	if s := h.put(r); s.State != model.OutlookPending || s.EventID != "" {
		t.Errorf("at once it is %s with event %q", s.State, s.EventID)
	}
	s := h.settled(r.ID)
	ev := h.event(s.EventID)
	if s.EventID == "" || s.ICalUID == "" || s.ChangeKey != ev.ChangeKey || s.JoinURL == "" || s.JoinURL != ev.JoinURL {
		t.Errorf("session %+v of event %+v", s, ev)
	}
	if !ev.Start.Equal(r.StartsAt) || !ev.End.Equal(r.EndsAt) || ev.Organizer != h.ada.Email || ev.Subject != "Mentoring" ||
		len(ev.Attendees) != 1 || ev.Attendees[0].Email != h.grace.Email {
		t.Errorf("event %+v", ev)
	}
	if invited := h.calendar(h.grace); len(invited) != 1 {
		t.Errorf("grace has %d meetings", len(invited))
	}
	if p := h.participant("ada"); p.MailboxStatus != model.MailboxOK || p.MailboxID != h.ada.ID {
		t.Errorf("the mailbox is %s (%q)", p.MailboxStatus, p.MailboxID)
	}
	// The echoes of our own write.
	h.quiet()
	h.do(h.sim.Touch(h.ada.Email, s.EventID))
	h.quiet()
	h.tells(r.ID, "platform booked")
	h.do(h.sim.Accept(h.grace.Email, s.EventID))
	h.wait(r.ID, "the answer", answered("grace", model.ResponseAccepted))
	h.tells(r.ID, "platform booked", "outlook rsvp_changed")
	if got := h.metric("pairsync_applies_total", "operation", "book", "outcome", "applied"); got != 1 {
		t.Errorf("%v bookings are counted", got)
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	r, s := h.booking()
	h.do(h.sim.Accept(h.grace.Email, s.EventID))
	h.wait(r.ID, "the answer", answered("grace", model.ResponseAccepted))
	to := h.nextHour()
	h.putAt(r, to)
	if moved := h.session(r.ID); moved.State != model.OutlookPending || !moved.StartsAt.Equal(to) {
		t.Errorf("at once it is %s at %v", moved.State, moved.StartsAt)
	}
	s = h.settled(r.ID)
	if ev := h.event(s.EventID); !ev.Start.Equal(to) || !ev.End.Equal(to.Add(30*time.Minute)) || ev.JoinURL != s.JoinURL || s.JoinURL == "" {
		t.Errorf("event %+v", ev)
	}
	h.wait(r.ID, "the answer to be void", answered("grace", model.ResponseNone))
	h.quiet()
	h.tells(r.ID, "platform booked", "outlook rsvp_changed", "platform rescheduled")
	if len(h.calendar(h.ada)) != 1 {
		t.Errorf("ada has %d meetings", len(h.calendar(h.ada)))
	}
	// Back, from the other side.
	h.do(h.sim.Move(s.EventID, r.StartsAt, r.EndsAt))
	h.wait(r.ID, "the old time", startsAt(r.StartsAt))
	h.quiet()
	h.tells(r.ID, "platform booked", "outlook rsvp_changed", "platform rescheduled", "outlook rescheduled")
}

func TestPeopleComeAndGo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	joan := h.person("joan")
	r, s := h.booking()
	h.do(h.sim.Accept(h.grace.Email, s.EventID))
	h.wait(r.ID, "the answer", answered("grace", model.ResponseAccepted))
	// Somebody whom the platform doesn't know, and who has to stay.
	h.do(h.sim.AddAttendee(s.EventID, "visitor@elsewhere.example"))
	h.wait(r.ID, "the visitor", func(s model.Session) bool { return len(s.Attendees) == 2 })
	invited := func() []string {
		var all []string
		for _, a := range h.event(s.EventID).Attendees {
			all = append(all, strings.SplitN(a.Email, "@", 2)[0]+" "+a.Response)
		}
		slices.Sort(all)
		return all
	}
	r.Attendees = []string{"grace", "joan"}
	h.put(r)
	h.settled(r.ID)
	if diff := cmp.Diff([]string{"grace accepted", "joan none", "visitor none"}, invited()); diff != "" {
		t.Errorf("invited (-want +got):\n%s", diff)
	}
	if len(h.calendar(joan)) != 1 {
		t.Error("joan was not invited")
	}
	r.Attendees = []string{"joan"}
	h.put(r)
	h.settled(r.ID)
	if diff := cmp.Diff([]string{"joan none", "visitor none"}, invited()); diff != "" {
		t.Errorf("invited (-want +got):\n%s", diff)
	}
	h.quiet()
	h.tells(r.ID, "platform booked", "outlook rsvp_changed", "outlook attendee_added", "platform attendee_added", "platform attendee_removed")
}

func TestCallOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	r, s := h.booking()
	h.callOff(r.ID, "Ada is ill, sorry.")
	if off := h.session(r.ID); off.Status != model.SessionCancelled || off.State != model.OutlookPending {
		t.Errorf("at once it is %s, %s", off.Status, off.State)
	}
	h.settled(r.ID)
	if ev := h.event(s.EventID); !ev.Deleted || !ev.Cancelled {
		t.Errorf("event %+v", ev)
	}
	copies := h.calendar(h.grace)
	if len(copies) != 1 || !copies[0].Cancelled || copies[0].Comment != "Ada is ill, sorry." {
		t.Errorf("grace has %+v", copies)
	}
	h.callOff(r.ID, "again")
	h.quiet()
	if _, err := h.store.SweepMailbox(t.Context(), h.tenant, h.ada.ID, model.CauseSweep); err != nil {
		t.Fatal(err)
	}
	h.settled(r.ID)
	h.tells(r.ID, "platform booked", "platform cancelled")
}

// What nobody is invited to is no meeting that Outlook could cancel, and no session is too small to be called off.
func TestCallOffWithoutGuests(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	r := h.wish(h.nextHour())
	r.Attendees = nil
	h.put(r)
	s := h.settled(r.ID)
	h.callOff(r.ID, "")
	h.settled(r.ID)
	if ev := h.event(s.EventID); !ev.Deleted {
		t.Errorf("event %+v", ev)
	}
	h.tells(r.ID, "platform booked", "platform cancelled")
}

// What was called off before it was booked is never booked.
func TestCallOffBeforeItIsBooked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{idle: true})
	r := h.wish(h.nextHour())
	h.put(r)
	h.callOff(r.ID, "")
	h.run()
	h.wait(r.ID, "to want nothing", func(s model.Session) bool { return s.State == model.OutlookInSync && s.Request == nil })
	// The command of the booking, should it have got away, is carried out before another one of the same session's organizer.
	h.booking()
	if ev := h.calendar(h.ada); len(ev) != 1 {
		t.Errorf("there is %+v", ev)
	}
	h.tells(r.ID, "platform booked", "platform cancelled")
}

// The platform changes its mind faster than Outlook takes it: the last word holds, and each word is on record in order.
func TestManyWishesInARow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	h.sim.AddFault(simulator.Fault{Operation: "create_event", Latency: simulator.Duration{Duration: 200 * time.Millisecond}})
	h.sim.AddFault(simulator.Fault{Operation: "update_event", Latency: simulator.Duration{Duration: 50 * time.Millisecond}})
	r := h.wish(h.nextHour())
	h.put(r)
	want := []string{"platform booked"}
	var last time.Time
	for range 10 {
		last = h.nextHour()
		r = h.putAt(r, last)
		want = append(want, "platform rescheduled")
		testbed.Eventually(t, "a little time", after(20*time.Millisecond))
	}
	s := h.settled(r.ID)
	h.quiet()
	if ev := h.event(s.EventID); !ev.Start.Equal(last) || !h.session(r.ID).StartsAt.Equal(last) {
		t.Errorf("event at %v, session at %v, want %v", ev.Start, h.session(r.ID).StartsAt, last)
	}
	if all := h.calendar(h.ada); len(all) != 1 {
		t.Errorf("%d events", len(all))
	}
	h.tells(r.ID, want...)
}

// after is true once d has passed.
func after(d time.Duration) func(ctx) bool {
	until := time.Now().Add(d)
	return func(ctx) bool { return time.Now().After(until) }
}
