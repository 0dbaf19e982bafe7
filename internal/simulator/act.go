package simulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The functions here are what people do in Outlook. Events are named by any id of anybody's copy; the person says on whose
// copy they act. Each returns an error that wraps the reason when Outlook would refuse.

// on runs an action on the copy that a person has of an event; an empty person is whoever the id's copy belongs to.
func (s *Simulator) on(person, event string, do func(t *tx, it *item) error) error {
	t := s.begin()
	defer t.end()
	it, err := s.world.copyOf(person, event)
	if err != nil {
		return err
	}
	if it.deleted {
		return fmt.Errorf("event in the calendar: %w", errNotFound)
	}
	return do(t, it)
}

// byOrganizer runs an action on the organizer's copy of an event.
func (s *Simulator) byOrganizer(event string, do func(t *tx, it *item) error) error {
	return s.on("", event, func(t *tx, it *item) error {
		org := it.organizers()
		if org == nil || org.deleted {
			return fmt.Errorf("organizer's event: %w", errNotFound)
		}
		return do(t, org)
	})
}

// Move gives the organizer's event new times, which voids all answers. It moves single events, whole series and instances.
func (s *Simulator) Move(event string, start, end time.Time) error {
	return s.byOrganizer(event, func(t *tx, it *item) error {
		if !end.After(start) {
			return cannot("The end must be after the start.")
		}
		if it.master != nil && crosses(it, start.UTC()) {
			return cannot("An instance cannot cross its neighbour.")
		}
		t.reschedule(it, start.UTC(), end.UTC())
		return nil
	})
}

// Accept answers yes.
func (s *Simulator) Accept(person, event string) error {
	return s.Respond(person, event, Response{Answer: answerAccepted})
}

// Decline answers no; the copy leaves the calendar.
func (s *Simulator) Decline(person, event string) error {
	return s.Respond(person, event, Response{Answer: answerDeclined})
}

// Tentative answers maybe.
func (s *Simulator) Tentative(person, event string) error {
	return s.Respond(person, event, Response{Answer: answerTentative})
}

// Propose answers maybe and proposes another time.
func (s *Simulator) Propose(person, event string, start, end time.Time) error {
	return s.Respond(person, event, Response{Answer: answerTentative, ProposedStart: start, ProposedEnd: end})
}

// Response is an answer to an invitation.
type Response struct {
	// Answer is accepted, tentativelyAccepted or declined.
	Answer string
	// ProposedStart and ProposedEnd propose another time; zero proposes none.
	ProposedStart, ProposedEnd time.Time
	// Unsent keeps the answer from the organizer.
	Unsent bool
}

// Respond answers an invitation.
func (s *Simulator) Respond(person, event string, r Response) error {
	if !slices.Contains([]string{answerAccepted, answerTentative, answerDeclined}, r.Answer) {
		return fmt.Errorf("%q is not an answer", r.Answer)
	}
	return s.on(person, event, func(t *tx, it *item) error {
		var proposed *slot
		if !r.ProposedStart.IsZero() {
			if !r.ProposedEnd.After(r.ProposedStart) {
				return cannot("The proposed end must be after the start.")
			}
			proposed = &slot{Start: r.ProposedStart.UTC(), End: r.ProposedEnd.UTC()}
		}
		return t.respond(it, r.Answer, proposed, !r.Unsent)
	})
}

// Cancel calls the organizer's event, series or instance off.
func (s *Simulator) Cancel(event string) error { return s.CancelSaying(event, "") }

// CancelSaying is Cancel with a word to the attendees.
func (s *Simulator) CancelSaying(event, comment string) error {
	return s.byOrganizer(event, func(t *tx, it *item) error {
		t.cancel(it, comment)
		return nil
	})
}

// Delete removes a person's own copy: the organizer's calls the meeting off, an attendee's tells nobody.
func (s *Simulator) Delete(person, event string) error {
	return s.on(person, event, func(t *tx, it *item) error {
		t.discard(it)
		return nil
	})
}

// Restore brings a person's copy back from Deleted Items; the organizer's invites everybody again.
func (s *Simulator) Restore(person, event string) error {
	t := s.begin()
	defer t.end()
	it, err := s.world.copyOf(person, event)
	if err != nil {
		return err
	}
	if !it.deleted {
		return fmt.Errorf("event in Deleted Items: %w", errNotFound)
	}
	t.restore(it)
	return nil
}

// AddAttendee invites one more person to the organizer's event.
func (s *Simulator) AddAttendee(event, email string) error {
	return s.byOrganizer(event, func(t *tx, it *item) error {
		a := attendee{Address: address{Name: email, Email: email}, Type: "required"}
		if box, err := s.world.person(email); err == nil {
			a.Address = address{Name: box.name, Email: box.email}
		}
		t.setAttendees(it, append(slices.Clone(it.state.Attendees), a))
		return nil
	})
}

// RemoveAttendee takes a person off the organizer's event. Their copy is marked as cancelled although the meeting lives on.
func (s *Simulator) RemoveAttendee(event, email string) error {
	return s.byOrganizer(event, func(t *tx, it *item) error {
		left := slices.DeleteFunc(slices.Clone(it.state.Attendees), func(a attendee) bool { return sameAddress(a.Address.Email, email) })
		if len(left) == len(it.state.Attendees) {
			return fmt.Errorf("attendee: %w", errNotFound)
		}
		t.setAttendees(it, left)
		return nil
	})
}

// Touch changes nothing that matters, like a dismissed reminder; subscriptions hear of it all the same.
func (s *Simulator) Touch(person, event string) error {
	return s.on(person, event, func(t *tx, it *item) error {
		t.exceptional(it)
		t.edit(it)
		return nil
	})
}

// NewLink gives an online meeting another join link.
func (s *Simulator) NewLink(event string) error {
	return s.byOrganizer(event, func(t *tx, it *item) error {
		st := t.edit(it)
		st.Online, st.Body = false, strings.ReplaceAll(st.Body, st.JoinURL, "")
		st.goOnline(it.box)
		for _, own := range t.attendeeCopies(it) {
			if !own.deleted {
				c := t.edit(own)
				c.Online, c.Provider, c.JoinURL, c.Conference = st.Online, st.Provider, st.JoinURL, st.Conference
			}
		}
		return nil
	})
}

// RemoveSubscription ends a subscription; tell sends the subscriptionRemoved event, which Graph is known to forget.
func (s *Simulator) RemoveSubscription(id string, tell bool) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub := w.subs[id]
	if sub == nil {
		return fmt.Errorf("subscription: %w", errNotFound)
	}
	w.forget(sub)
	if tell {
		s.courier.lifecycle(sub, lifecycleRemoved)
	}
	s.saver.dirty()
	s.feed.publish()
	return nil
}

// SendLifecycle sends a lifecycle event: missed, reauthorizationRequired or subscriptionRemoved, which also removes.
func (s *Simulator) SendLifecycle(id, event string) error {
	if event == lifecycleRemoved {
		return s.RemoveSubscription(id, true)
	}
	if event != lifecycleMissed && event != lifecycleReauthorize {
		return fmt.Errorf("%q is not a lifecycle event", event)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub := w.subs[id]
	if sub == nil {
		return fmt.Errorf("subscription: %w", errNotFound)
	}
	if !s.courier.lifecycle(sub, event) {
		return fmt.Errorf("the subscription has no lifecycle URL")
	}
	return nil
}
