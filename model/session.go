package model

import "time"

// SessionStatus is whether a session is on.
type SessionStatus string

// The statuses of a session.
const (
	SessionScheduled SessionStatus = "scheduled"
	SessionCancelled SessionStatus = "cancelled"
)

// OutlookState is how a session stands to its event in Outlook.
type OutlookState string

// The states: not yet in Outlook, equal to it, last known because the mailbox can't be read, or a platform change that
// lost to a newer one made in Outlook.
const (
	OutlookPending     OutlookState = "pending"
	OutlookInSync      OutlookState = "in_sync"
	OutlookUnreachable OutlookState = "unreachable"
	OutlookConflict    OutlookState = "conflict"
)

// Response is an attendee's answer to an invitation.
type Response string

// The responses. Graph's notResponded and none both mean ResponseNone.
const (
	ResponseNone      Response = "none"
	ResponseAccepted  Response = "accepted"
	ResponseTentative Response = "tentative"
	ResponseDeclined  Response = "declined"
)

// RSVP is an attendee's answer and, if one was made, the other time that they proposed.
type RSVP struct {
	Response      Response   `json:"response"`
	RespondedAt   *time.Time `json:"responded_at"`
	ProposedStart *time.Time `json:"proposed_start"`
	ProposedEnd   *time.Time `json:"proposed_end"`
}

// Attendee is a person invited to a session.
type Attendee struct {
	// Participant is the platform's id; empty for somebody in the Outlook meeting who is not in the programme.
	Participant string `json:"participant"`
	Email       string `json:"email"`
	RSVP        RSVP   `json:"rsvp"`
}

// Session is a mentoring session as pairsync last knew it. All times are UTC.
type Session struct {
	Tenant string
	// ID is the platform's own.
	ID        string
	Status    SessionStatus
	Organizer string
	// OrganizerEmail and OrganizerMailbox are read with the session and belong to the participant. After a reading that
	// succeeded, anything but MailboxOK is a reason to call Store.MailboxHealed.
	OrganizerEmail   string
	OrganizerMailbox MailboxStatus
	StartsAt         time.Time
	EndsAt           time.Time
	// TimeZone is the IANA name that the platform gave.
	TimeZone      string
	Title         string
	OnlineMeeting string
	JoinURL       string
	Attendees     []Attendee

	// EventID is the immutable id in the organizer's mailbox. Never compare it case-insensitively.
	EventID   string
	ICalUID   string
	ChangeKey string
	// SeriesMasterID and OriginalStart are set when the event is an occurrence of a series.
	SeriesMasterID string
	OriginalStart  *time.Time
	// LastModifiedAt is Outlook's own time of the version that is stored; nil before the first reading.
	LastModifiedAt *time.Time
	// ReadAt is when the reading that is stored began; nil before the first reading.
	ReadAt *time.Time
	// Vanished says that the newest reading found no event. Until the event is found again, only ReadAt orders readings.
	Vanished bool
	State    OutlookState

	// Seen is what Outlook last showed where that is not what the session says; nil when it is.
	Seen *Seen
	// Request is what the platform wants and Outlook doesn't have; nil when there is nothing such.
	Request *Request
	// Pending is the change made in Outlook that waits for the platform's answer; nil when there is none.
	Pending *OpenPending
	// Lost says that the platform's last wish lost to a newer change in Outlook, and that neither side has moved on since.
	Lost bool

	// Version counts the session's changes; every Change carries the version that it made.
	Version int64
	// VerifiedAt is when the session was last compared with Outlook; nil before the first reading.
	VerifiedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}
