package model

import "time"

// Observation is the organizer's event as it was read from Outlook, with nothing in it that pairsync doesn't keep.
type Observation struct {
	// Found is false when Outlook has no such event any more; then only ReadAt counts.
	Found bool
	// EventID is the immutable id under which the event was found; it may differ from the session's.
	EventID   string
	ICalUID   string
	ChangeKey string
	// SeriesMasterID and OriginalStart are set on occurrences and exceptions of a series.
	SeriesMasterID string
	OriginalStart  *time.Time
	Cancelled      bool
	StartsAt       time.Time
	EndsAt         time.Time
	JoinURL        string
	// Attendees are all people invited but the organizer, rooms and equipment left out.
	Attendees []ObservedAttendee
	// LastModifiedAt is Outlook's own time of this version.
	LastModifiedAt time.Time
	// ReadAt is when the reading began. It orders readings that LastModifiedAt can't.
	ReadAt time.Time
}

// ObservedAttendee is one attendee on the organizer's copy of an event.
type ObservedAttendee struct {
	// Email may be in any case.
	Email string
	// Participant is the platform's id of the person, empty for an outsider. Readers leave it empty: Store.Commit looks up
	// the addresses that the session doesn't know.
	Participant string
	RSVP        RSVP
}
