package workers

import (
	"errors"
	"strings"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// errIncomplete is a reading that lacks what every event has. It can't heal by waiting: one side has a bug.
var errIncomplete = errors.New("event lacks its id, its times or its last modification")

// observe turns an event as Graph gave it into an observation. readAt is when the reading began.
func observe(ev graph.Event, readAt time.Time) (model.Observation, error) {
	if ev.ID == "" || ev.Start.IsZero() || ev.End.IsZero() || ev.LastModified.IsZero() {
		return model.Observation{}, errIncomplete
	}
	o := model.Observation{
		Found:          true,
		EventID:        ev.ID,
		ICalUID:        ev.ICalUID,
		ChangeKey:      ev.ChangeKey,
		SeriesMasterID: ev.SeriesMasterID,
		OriginalStart:  timeOrNil(ev.OriginalStart),
		Cancelled:      ev.Cancelled,
		StartsAt:       ev.Start.UTC(),
		EndsAt:         ev.End.UTC(),
		JoinURL:        ev.JoinURL,
		LastModifiedAt: ev.LastModified.UTC(),
		ReadAt:         readAt.UTC(),
	}
	for _, a := range ev.Attendees {
		email := strings.ToLower(strings.TrimSpace(a.Email))
		if !isPerson(a, email, ev.Organizer) {
			continue
		}
		o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: email, RSVP: answer(a)})
	}
	return o, nil
}

// isPerson leaves out rooms and equipment, entries without an address, and the organizer, whom Outlook may list too.
func isPerson(a graph.Attendee, email, organizer string) bool {
	return email != "" && a.Type != "resource" && a.Response != "organizer" && !strings.EqualFold(email, strings.TrimSpace(organizer))
}

// answer is what an attendee said. Words that we don't know count as no answer: Graph's enum is evolvable.
func answer(a graph.Attendee) model.RSVP {
	r := model.RSVP{
		Response:      model.ResponseNone,
		RespondedAt:   timeOrNil(a.RespondedAt),
		ProposedStart: timeOrNil(a.ProposedStart),
		ProposedEnd:   timeOrNil(a.ProposedEnd),
	}
	switch a.Response {
	case "accepted":
		r.Response = model.ResponseAccepted
	case "tentativelyaccepted":
		r.Response = model.ResponseTentative
	case "declined":
		r.Response = model.ResponseDeclined
	default:
		r.RespondedAt = nil
	}
	return r
}

// notFound is the observation that Outlook has no such event.
func notFound(readAt time.Time) model.Observation { return model.Observation{ReadAt: readAt.UTC()} }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}
