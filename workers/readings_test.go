package workers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func kinds(k ...model.ChangeKind) []model.ChangeKind { return k }

// history fails the test unless exactly these changes stand in the session's history.
func (h *house) history(session string, want ...model.ChangeKind) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.kinds(session)); diff != "" {
		h.t.Errorf("history of %s (-want +got):\n%s\nlog:\n%s", session, diff, h.logs)
	}
}

func TestMovedMeeting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(45*time.Minute)))
	s := h.wait(session, "the new time", startsAt(to))
	if want := to.Add(45 * time.Minute); !s.EndsAt.Equal(want) {
		t.Errorf("ends at %v, want %v", s.EndsAt, want)
	}
	h.quiet()
	h.history(session, model.KindRescheduled)
	ch := h.changes(session)[1]
	if ch.Source != model.SourceOutlook || ch.Cause != model.CauseNotification {
		t.Errorf("the change is from %s by %s", ch.Source, ch.Cause)
	}
	if !ch.OccurredAt.Equal(s.LastModifiedAt.UTC()) || ch.ReceivedAt.Before(ch.OccurredAt) || ch.AppliedAt.Before(ch.ReceivedAt) {
		t.Errorf("occurred %v, received %v, applied %v", ch.OccurredAt, ch.ReceivedAt, ch.AppliedAt)
	}
	testbed.Eventually(t, "the change to be published", func(_ ctx) bool { return len(h.published()) == 2 })
	e := h.published()[1]
	if e.ID != ch.ID || e.msgID != ch.ID || e.Type != "pairsync.session.rescheduled" || e.Subject != session {
		t.Errorf("published %+v for change %s", e, ch.ID)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()

	h.do(h.sim.Accept(h.grace.Email, booked.ID))
	s := h.wait(session, "the acceptance", answered("grace", model.ResponseAccepted))
	if s.Attendees[0].RSVP.RespondedAt == nil {
		t.Error("an answer has no time")
	}

	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(30*time.Minute)))
	s = h.wait(session, "the new time", startsAt(to))
	if got := s.Attendees[0].RSVP; got.Response != model.ResponseNone || got.RespondedAt != nil {
		t.Errorf("after the move the answer is %+v", got)
	}

	proposal := h.nextHour()
	h.do(h.sim.Propose(h.grace.Email, booked.ID, proposal, proposal.Add(30*time.Minute)))
	s = h.wait(session, "the proposal", answered("grace", model.ResponseTentative))
	if got := s.Attendees[0].RSVP; got.ProposedStart == nil || !got.ProposedStart.Equal(proposal) {
		t.Errorf("the proposal is %+v", got)
	}

	h.do(h.sim.Decline(h.grace.Email, booked.ID))
	s = h.wait(session, "the refusal", answered("grace", model.ResponseDeclined))
	if s.Status != model.SessionScheduled {
		t.Error("an attendee's refusal cancelled the session")
	}
	h.quiet()
	h.history(session, model.KindRSVPChanged, model.KindRescheduled, model.KindTimeProposed, model.KindRSVPChanged)
}

func TestAttendeesComeAndGo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	h.person("barbara")
	session, booked := h.meeting()
	h.do(h.sim.AddAttendee(booked.ID, "barbara@contoso.example"))
	h.wait(session, "barbara", answered("barbara", model.ResponseNone))
	h.do(h.sim.RemoveAttendee(booked.ID, h.grace.Email))
	h.wait(session, "grace to be gone", func(s model.Session) bool { return len(s.Attendees) == 1 })
	h.quiet()
	h.history(session, model.KindAttendeeAdded, model.KindAttendeeRemoved)
}

func TestNewMeetingLink(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	before := h.session(session).JoinURL
	if before == "" {
		t.Fatal("the first reading told no join link")
	}
	h.do(h.sim.NewLink(booked.ID))
	h.wait(session, "another link", func(s model.Session) bool { return s.JoinURL != before })
	h.quiet()
	h.history(session, model.KindMeetingLinkChanged)
}

func TestCancelledAndReinstated(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(h *house, b simulator.Booked) error{
		"called off":             func(h *house, b simulator.Booked) error { return h.sim.Cancel(b.ID) },
		"deleted":                func(h *house, b simulator.Booked) error { return h.sim.Delete(h.ada.Email, b.ID) },
		"kept in Deleted Items ": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{})
			h.subscribe(h.ada)
			session, booked := h.meeting()
			if cancel == nil {
				h.sim.SetBehaviour(simulator.Behaviour{KeepCancelled: true})
				h.do(h.sim.Cancel(booked.ID))
			} else {
				h.do(cancel(h, booked))
			}
			h.wait(session, "the cancellation", cancelled)
			h.quiet()
			h.history(session, model.KindCancelled)
			h.do(h.sim.Restore(h.ada.Email, booked.ID))
			h.wait(session, "the reinstatement", func(s model.Session) bool { return s.Status == model.SessionScheduled })
			h.quiet()
			if got := h.kinds(session); !slices.Equal(got[:2], kinds(model.KindCancelled, model.KindReinstated)) {
				t.Errorf("history: %v", got)
			}
		})
	}
}

func TestAttendeesDeletedCopyMeansNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	h.subscribe(h.grace)
	session, booked := h.meeting()
	h.do(h.sim.Delete(h.grace.Email, booked.ID))
	h.quiet()
	h.history(session)
	if reads := h.sim.Reads(booked.Copies[h.grace.Email]); reads != 0 {
		t.Errorf("the attendee's copy was read %d times", reads)
	}
}

func TestTenNotificationsForOneChange(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	h.sim.SetBehaviour(simulator.Behaviour{
		Duplicates: 9, ReorderNotifications: true, NotificationJitter: simulator.Duration{Duration: 200 * time.Millisecond},
	})
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	h.wait(session, "the new time", startsAt(to))
	h.quiet()
	h.history(session, model.KindRescheduled)
}

// A meeting that is moved twice within a second ends in both moves or in the last, whatever a copy that lags behind shows.
func TestMovedTwice(t *testing.T) {
	t.Parallel()
	for name, stale := range map[string]time.Duration{"fresh": 0, "lagging": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{workers: paced(func(c *config) {
				c.DoubtRetries = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond}
			})})
			h.subscribe(h.ada)
			session, booked := h.meeting()
			h.sim.SetBehaviour(simulator.Behaviour{StaleReads: simulator.Duration{Duration: stale}, ReorderNotifications: true})
			first, last := h.nextHour(), h.nextHour()
			h.do(h.sim.Move(booked.ID, first, first.Add(time.Hour)))
			h.do(h.sim.Move(booked.ID, last, last.Add(time.Hour)))
			h.wait(session, "the last time", startsAt(last))
			h.quiet()
			if got := h.kinds(session); !slices.Equal(got, kinds(model.KindRescheduled)) && !slices.Equal(got, kinds(model.KindRescheduled, model.KindRescheduled)) {
				t.Errorf("history: %v", got)
			}
			if got := h.metric("pairsync_sweep_drift_total"); got != 0 {
				t.Errorf("the sweep had to find %v changes", got)
			}
		})
	}
}

func TestLateReadableEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) {
		c.NotFoundRetries = []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}
	})})
	h.subscribe(h.ada)
	h.sim.SetBehaviour(simulator.Behaviour{LateReadable: simulator.Duration{Duration: 300 * time.Millisecond}})
	session, _ := h.meeting()
	h.quiet()
	h.history(session)
}

// A copy that lags behind shows a deleted meeting for a while; that must neither keep the session on nor bring it back.
func TestDeletedMeetingOnALaggingCopy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{workers: paced(func(c *config) {
		c.DoubtRetries = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond}
	})})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	h.sim.SetBehaviour(simulator.Behaviour{StaleReads: simulator.Duration{Duration: 300 * time.Millisecond}})
	h.do(h.sim.Cancel(booked.ID))
	h.wait(session, "the cancellation", cancelled)
	h.quiet()
	h.history(session, model.KindCancelled)
}

// An event that answers 404 under its id is looked for by its iCalUId before anything is concluded.
func TestEventWithAnotherID(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	fault := h.sim.AddFault(simulator.Fault{Operation: "get_event", Event: booked.ID, Status: 404, Code: "ErrorItemNotFound"})
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	h.wait(session, "the new time", startsAt(to))
	h.quiet()
	h.history(session, model.KindRescheduled)
	h.sim.RemoveFault(fault)
}

func TestPrivateEventsAreNotRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	var private []string
	for range 5 {
		start := h.nextHour()
		b, err := h.sim.AddPrivateEvent(h.ada.Email, "Doctor", start, start.Add(time.Hour))
		h.do(err)
		private = append(private, b.ID)
		h.do(h.sim.Move(b.ID, start.Add(time.Minute), start.Add(time.Hour)))
		h.do(h.sim.Touch(h.ada.Email, b.ID))
	}
	session, booked := h.meeting()
	to := h.nextHour()
	h.do(h.sim.Move(booked.ID, to, to.Add(time.Hour)))
	h.wait(session, "the new time", startsAt(to))
	h.do(h.sim.Delete(h.ada.Email, private[0]))
	h.quiet()
	for _, id := range private {
		if reads := h.sim.Reads(id); reads != 0 {
			t.Errorf("a private event was read %d times", reads)
		}
	}
	if got := h.metric("pairsync_reconciles_total", "outcome", "unrelated"); got == 0 {
		t.Error("no group ended as unrelated")
	}
}

func TestReminderChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, plan{})
	h.subscribe(h.ada)
	session, booked := h.meeting()
	h.quiet()
	before := h.session(session)
	h.do(h.sim.Touch(h.ada.Email, booked.ID))
	after := h.wait(session, "another reading", func(s model.Session) bool { return s.ChangeKey != before.ChangeKey })
	h.quiet()
	h.history(session)
	if after.Version != before.Version {
		t.Errorf("the version went from %d to %d", before.Version, after.Version)
	}
}
