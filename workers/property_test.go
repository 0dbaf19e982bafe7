package workers_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// Whatever people do, and whatever becomes of the notifications about it: after a sweep every session equals its event, and
// its history holds each true change once.
func TestSessionsEndEqualToOutlook(t *testing.T) {
	t.Parallel()
	for name, behaviour := range map[string]simulator.Behaviour{
		"lost":      {DropNotifications: 0.4},
		"doubled":   {Duplicates: 3, ExtraUpdates: 2},
		"reordered": {ReorderNotifications: true, NotificationJitter: simulator.Duration{Duration: 150 * time.Millisecond}},
		"all of it": {
			DropNotifications: 0.3, Duplicates: 1, ExtraUpdates: 1, ReorderNotifications: true,
			NotificationJitter: simulator.Duration{Duration: 100 * time.Millisecond},
			StaleReads:         simulator.Duration{Duration: 60 * time.Millisecond},
			LateReadable:       simulator.Duration{Duration: 30 * time.Millisecond},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, plan{})
			h.subscribe(h.ada)
			h.person("barbara")
			var sessions, events []string
			for range 6 {
				session, booked := h.meeting()
				sessions, events = append(sessions, session), append(events, booked.ID)
			}
			instances, series := h.series(4, 0, 2)
			sessions = append(sessions, instances...)
			events = append(events, series.Instances[0].ID, series.Instances[2].ID)

			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, seed))
			h.sim.SetBehaviour(behaviour)
			for i, event := range events {
				for range 8 {
					h.act(rnd, sessions[i], event)
				}
			}
			h.quiet()
			h.sim.SetBehaviour(simulator.Behaviour{})
			// The sweep must come after what a lagging copy still shows.
			testbed.Eventually(t, "all copies to have caught up", func(ctx) bool {
				return time.Since(h.lastAct) > behaviour.StaleReads.Duration
			})
			if _, err := h.store.SweepMailbox(t.Context(), h.tenant, h.ada.ID, model.CauseSweep); err != nil {
				t.Fatal(err)
			}
			for i, session := range sessions {
				diff := ""
				t.Cleanup(func() {
					if diff != "" {
						view, err := h.sim.Event(events[i])
						t.Logf("%s: %s\nOutlook: %+v, %v", session, diff, view, err)
					}
				})
				h.wait(session, "to equal Outlook", func(s model.Session) bool {
					view, err := h.sim.Event(events[i])
					if err != nil {
						t.Fatal(err)
					}
					diff = unlike(s, view)
					return diff == ""
				})
				h.versions(session)
				h.plausible(session)
			}
		})
	}
}

// act does one random thing to a meeting. What Outlook refuses is no matter.
func (h *house) act(rnd *rand.Rand, session, event string) {
	s := h.session(session)
	start := s.StartsAt.Add(time.Duration(rnd.IntN(8)-4) * 15 * time.Minute)
	var err error
	switch rnd.IntN(10) {
	case 0, 1, 2:
		err = h.sim.Move(event, start, start.Add(45*time.Minute))
	case 3:
		err = h.sim.Accept(h.grace.Email, event)
	case 4:
		err = h.sim.Decline(h.grace.Email, event)
	case 5:
		err = h.sim.Propose(h.grace.Email, event, start, start.Add(time.Hour))
	case 6:
		err = h.sim.Touch(h.ada.Email, event)
	case 7:
		err = h.sim.Cancel(event)
	case 8:
		err = h.sim.Restore(h.ada.Email, event)
	case 9:
		err = h.sim.AddAttendee(event, "barbara@contoso.example")
	}
	if err == nil {
		h.lastAct = time.Now()
	}
}

// unlike says in what a session differs from the organizer's copy of its event, empty for nothing.
func unlike(s model.Session, v simulator.View) string {
	if off := v.Deleted || v.Cancelled; off != (s.Status == model.SessionCancelled) {
		return fmt.Sprintf("the session is %s, the event is off: %v", s.Status, off)
	} else if off {
		return ""
	}
	if !s.StartsAt.Equal(v.Start) || !s.EndsAt.Equal(v.End) {
		return fmt.Sprintf("from %v to %v, not %v to %v", s.StartsAt, s.EndsAt, v.Start, v.End)
	}
	if s.JoinURL != v.JoinURL {
		return "another join link"
	}
	invited := slices.CompactFunc(v.Attendees, func(a, b simulator.AttendeeView) bool { return strings.EqualFold(a.Email, b.Email) })
	if len(s.Attendees) != len(invited) {
		return fmt.Sprintf("%d attendees, not %d", len(s.Attendees), len(invited))
	}
	for i, a := range invited {
		have := s.Attendees[i]
		if !strings.EqualFold(have.Email, a.Email) || have.RSVP.Response != response(a.Response) {
			return fmt.Sprintf("%s %s, not %s %s", have.Email, have.RSVP.Response, a.Email, a.Response)
		}
		if (have.RSVP.ProposedStart == nil) != (a.ProposedStart == nil) || a.ProposedStart != nil && !a.ProposedStart.Equal(*have.RSVP.ProposedStart) {
			return fmt.Sprintf("%s proposes %v, not %v", have.Email, have.RSVP.ProposedStart, a.ProposedStart)
		}
	}
	return ""
}

func response(outlook string) model.Response {
	switch strings.ToLower(outlook) {
	case "accepted":
		return model.ResponseAccepted
	case "tentativelyaccepted":
		return model.ResponseTentative
	case "declined":
		return model.ResponseDeclined
	default:
		return model.ResponseNone
	}
}

// plausible fails the test when a change of a session's history leads nowhere or was told twice.
func (h *house) plausible(session string) {
	h.t.Helper()
	on := true
	for _, ch := range h.changes(session) {
		if ch.Kind == model.KindCancelled || ch.Kind == model.KindReinstated {
			if on != (ch.Kind == model.KindCancelled) {
				h.t.Errorf("version %d of %s is %s twice", ch.Version, session, ch.Kind)
			}
			on = ch.Kind == model.KindReinstated
		}
		if len(ch.Before) > 0 && string(ch.Before) == string(ch.After) {
			h.t.Errorf("version %d of %s is %s and changes nothing: %s", ch.Version, session, ch.Kind, ch.After)
		}
	}
}
