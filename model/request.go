package model

import "time"

// RequestKind is what Outlook must be brought to.
type RequestKind string

// The kinds of request: there is no event yet, the event must be changed, or it must be cancelled.
const (
	RequestBook   RequestKind = "book"
	RequestChange RequestKind = "change"
	RequestCancel RequestKind = "cancel"
)

// Request is what the platform wants of a session and Outlook doesn't have yet. The session's row says what that is: its
// times, people and status; the request says which of them are wishes.
type Request struct {
	// Version counts the session's requests. A newer one stands for all before it.
	Version     int64       `json:"version"`
	RequestedAt time.Time   `json:"requested_at"`
	Kind        RequestKind `json:"kind"`
	// Comment goes to the attendees of a meeting that is cancelled.
	Comment string `json:"comment,omitempty"`
	// Open is false when the request failed for good. Then Reason is a word that says why, and it stands until the platform
	// asks anew or somebody changes the same in Outlook.
	Open   bool   `json:"open"`
	Reason string `json:"reason,omitempty"`
	// Times, People and Title say what must be written into an event that exists. What is not named must not be written: a
	// wish for it may have lost to what somebody did in Outlook.
	Times  bool `json:"times,omitempty"`
	People bool `json:"people,omitempty"`
	Title  bool `json:"title,omitempty"`
	// TimesAt is when the times were asked for; what was asked for later doesn't make them a newer wish.
	TimesAt time.Time `json:"times_at,omitzero"`
	// Bookings counts the events that this session has been booked as; a meeting that was cancelled in Outlook and is wanted
	// again becomes another event.
	Bookings int `json:"bookings"`
	// Tried are the wishes that somebody may have begun to write, and that no reading has shown since. An event that shows one
	// of them shows our own hand, not an intention of somebody in Outlook.
	Tried []Wish `json:"tried,omitempty"`
}

// Wish is what a write into Outlook makes of an event.
type Wish struct {
	// StartsAt and EndsAt are zero when the write is not about times.
	StartsAt time.Time `json:"starts_at,omitzero"`
	EndsAt   time.Time `json:"ends_at,omitzero"`
	// Added and Removed are e-mail addresses, lower case.
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// Seen is what Outlook last showed of an event.
type Seen struct {
	StartsAt  time.Time `json:"starts_at"`
	EndsAt    time.Time `json:"ends_at"`
	Cancelled bool      `json:"cancelled,omitempty"`
	// People are e-mail addresses, lower case and sorted.
	People []string `json:"people,omitempty"`
}

// SessionRequest is a session as the platform wants it.
type SessionRequest struct {
	Tenant string
	// ID is the platform's own.
	ID string
	// Organizer and Attendees are ids of participants. An attendee named twice, or the organizer among them, counts once.
	Organizer string
	Attendees []string
	StartsAt  time.Time
	EndsAt    time.Time
	// TimeZone is an IANA name.
	TimeZone      string
	Title         string
	OnlineMeeting string
	// EventID is the immutable id of an event that exists in the organizer's mailbox; empty to have one booked, and when
	// nothing is said of it.
	EventID string
	// SeenVersion is the session's version that the platform had seen when it asked; 0 when it doesn't say. A platform that has
	// seen the newest version means each word, also where the word repeats its request before.
	SeenVersion int64
	// At is when the platform asked; zero means now.
	At time.Time
}

// Applied says that an observation was made by writing a request into Outlook: it is the answer to that write, or, after a
// cancellation, that there is no event any more.
type Applied struct {
	// Version is that of the request which was written; 0 when a booking was answered with an event that shows something else:
	// an earlier attempt had booked it, and anything may have become of it since.
	Version int64
}

// Command says that a session has a request which Outlook must be brought to. It is a hint: ClaimRequest has the truth.
type Command struct {
	Tenant  string
	Session string
	Version int64
}

// Work is a claimed request with all that carrying it out takes. Session.Request is the request.
type Work struct {
	Session Session
	// MailboxID and Email are the organizer's; MailboxID is empty until resolved.
	MailboxID string
	Email     string
	Method    Method
	// TransactionID is the same for every attempt at one booking, and another for the next.
	// https://learn.microsoft.com/graph/api/resources/event
	TransactionID string
	// Before says that an earlier attempt may have written something, so that an event may exist whose id is not known yet.
	Before bool
	// ClaimedUntil is when the claim ends, by the database's clock; it names the claim.
	ClaimedUntil time.Time
}
