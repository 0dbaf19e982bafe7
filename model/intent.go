package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// intent is the document in a session's row that holds what stands between it and its event.
type intent struct {
	Seen    *Seen        `json:"seen,omitempty"`
	Request *Request     `json:"request,omitempty"`
	Pending *OpenPending `json:"pending,omitempty"`
	Lost    bool         `json:"lost,omitempty"`
}

// encodeIntent is nil when nothing stands between the session and its event.
func encodeIntent(s Session) ([]byte, error) {
	i := intent{s.Seen, s.Request, s.Pending, s.Lost}
	if i == (intent{}) {
		return nil, nil
	}
	b, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encoding the intent of session %s: %w: %w", s.ID, errUnreadable, err)
	}
	return b, nil
}

func (s *Session) decodeIntent(b []byte) error {
	if b == nil {
		return nil
	}
	var i intent
	if err := json.Unmarshal(b, &i); err != nil {
		return fmt.Errorf("decoding the intent of session %s: %w: %w", s.ID, errUnreadable, err)
	}
	s.Seen, s.Request, s.Pending, s.Lost = i.Seen, i.Request, i.Pending, i.Lost
	return nil
}

// Reasons of an OutlookState that isn't OutlookInSync, beside those with which a request failed.
const (
	// ReasonAwaitingAnswer says that a change made in Outlook waits for the platform's answer.
	ReasonAwaitingAnswer = "awaiting_answer"
	// ReasonRequested says that a request is on its way.
	ReasonRequested = "requested"
	// ReasonSuperseded says that a platform change lost to a newer Outlook one.
	ReasonSuperseded = "superseded"
	// ReasonNotApplied says that a change made in Outlook was recorded and, by the tenant's policy, not applied.
	ReasonNotApplied = "not_applied"
)

// StateReason is a word that says why the session is pending or in conflict; empty otherwise.
func (s Session) StateReason() string {
	switch s.State {
	case OutlookPending:
		switch {
		case s.Request != nil && s.Request.Reason != "":
			return s.Request.Reason
		case s.Request != nil:
			return ReasonRequested
		case s.Pending != nil:
			return ReasonAwaitingAnswer
		}
	case OutlookConflict:
		if s.Lost {
			return ReasonSuperseded
		}
		return ReasonNotApplied
	case OutlookInSync, OutlookUnreachable:
	}
	return ""
}

// TransactionID names the booking that is under way: the same for every attempt at it, another for the next. It is a name
// and no secret. https://learn.microsoft.com/graph/api/resources/event
func (s Session) TransactionID() string {
	bookings := 1
	if s.Request != nil {
		bookings = s.Request.Bookings
	}
	name := fmt.Sprintf("pairsync/%q/%q/%d", s.Tenant, s.ID, bookings)
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String()
}

// standing is the state that follows from what stands between the session and its event.
func (s Session) standing() OutlookState {
	switch {
	case s.Request != nil, s.Pending != nil:
		return OutlookPending
	case s.EventID != "" && s.ReadAt == nil:
		return OutlookPending
	case s.Seen != nil, s.Lost:
		return OutlookConflict
	default:
		return OutlookInSync
	}
}

// seen is what Outlook last showed of the event.
func (s Session) seen() Seen {
	if s.Seen != nil {
		return *s.Seen
	}
	return Seen{StartsAt: s.StartsAt, EndsAt: s.EndsAt, Cancelled: s.Status == SessionCancelled, People: s.people()}
}

// people are the addresses of a session's attendees.
func (s Session) people() []string {
	people := make([]string, 0, len(s.Attendees))
	for _, a := range s.Attendees {
		people = append(people, strings.ToLower(a.Email))
	}
	slices.Sort(people)
	return people
}

// invites says whether somebody is among people, whose addresses are lower case.
func invites(people []string, email string) bool {
	return slices.Contains(people, strings.ToLower(email))
}

// rebook lets go of an event that is gone or cancelled, so that the session is booked as another one.
func (s *Session) rebook(r Request) {
	s.EventID, s.ICalUID, s.ChangeKey, s.SeriesMasterID = "", "", "", ""
	s.OriginalStart, s.LastModifiedAt, s.ReadAt = nil, nil, nil
	s.Vanished, s.Seen, s.Lost = false, nil, false
	r.Version++
	r.Bookings++
	r.Kind, r.Open, r.Reason = RequestBook, true, ""
	r.Times, r.People, r.Title, r.Tried = true, true, false, nil
	s.Request = &r
}
