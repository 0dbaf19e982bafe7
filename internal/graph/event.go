package graph

import "time"

// Mailbox names whose calendar is meant.
type Mailbox struct {
	// Tenant is the Entra tenant id.
	Tenant string
	// User is the Entra object id of the mailbox's owner, or an address where Graph takes one.
	User string
}

// EventRef names one event for Client.Events.
type EventRef struct {
	Mailbox Mailbox
	// ID is the immutable id of the event in that mailbox.
	ID string
}

// Result is what became of one EventRef.
type Result struct {
	Event Event
	// Err is nil or an *Error.
	Err error
}

// Event is what pairsync reads of an event, and all of it. Times are UTC; the zero time stands for "none", which Graph
// writes as year 0001 or 4501.
// https://learn.microsoft.com/graph/api/resources/event
type Event struct {
	// ID is immutable and case-sensitive.
	ID        string
	ICalUID   string
	ChangeKey string
	// Type is singleInstance, occurrence, exception or seriesMaster.
	Type string
	// SeriesMasterID and OriginalStart are set on occurrences and exceptions.
	SeriesMasterID string
	OriginalStart  time.Time
	Start          time.Time
	End            time.Time
	LastModified   time.Time
	Cancelled      bool
	// JoinURL is empty when the event is no online meeting.
	JoinURL string
	// Organizer is an address, in any case; empty on odd items.
	Organizer string
	Attendees []Attendee
}

// The types of an event.
const (
	TypeSingleInstance = "singleInstance"
	TypeOccurrence     = "occurrence"
	TypeException      = "exception"
	TypeSeriesMaster   = "seriesMaster"
)

// Attendee is one attendee as the mailbox's copy of the event has it. Only the organizer's copy collects everybody's
// answers.
type Attendee struct {
	// Email may be in any case, and empty.
	Email string
	// Type is required, optional or resource.
	Type string
	// Response is Graph's word in lower case: none, notresponded, organizer, accepted, tentativelyaccepted, declined.
	Response string
	// RespondedAt is zero when Graph gives no time.
	RespondedAt time.Time
	// ProposedStart and ProposedEnd are zero when no other time was proposed.
	ProposedStart time.Time
	ProposedEnd   time.Time
}
