package model

import (
	"encoding/json"
	"time"
)

// ChangeKind is what happened to a session.
type ChangeKind string

// The kinds of change.
const (
	KindBooked             ChangeKind = "booked"
	KindRescheduled        ChangeKind = "rescheduled"
	KindCancelled          ChangeKind = "cancelled"
	KindReinstated         ChangeKind = "reinstated"
	KindRSVPChanged        ChangeKind = "rsvp_changed"
	KindTimeProposed       ChangeKind = "time_proposed"
	KindAttendeeAdded      ChangeKind = "attendee_added"
	KindAttendeeRemoved    ChangeKind = "attendee_removed"
	KindMeetingLinkChanged ChangeKind = "meeting_link_changed"
	KindSuperseded         ChangeKind = "superseded"
	KindChangePending      ChangeKind = "change_pending"
)

// ChangeKinds lists every ChangeKind, for metrics that exist from the start.
func ChangeKinds() []ChangeKind {
	return []ChangeKind{
		KindBooked, KindRescheduled, KindCancelled, KindReinstated, KindRSVPChanged, KindTimeProposed,
		KindAttendeeAdded, KindAttendeeRemoved, KindMeetingLinkChanged, KindSuperseded, KindChangePending,
	}
}

// Source is the side on which a change was made.
type Source string

// The two sides.
const (
	SourceOutlook  Source = "outlook"
	SourcePlatform Source = "platform"
)

// Sources lists every Source, for metrics that exist from the start.
func Sources() []Source { return []Source{SourceOutlook, SourcePlatform} }

// Cause is why pairsync looked and found the change.
type Cause string

// The causes.
const (
	CauseNotification Cause = "notification"
	CauseLifecycle    Cause = "lifecycle"
	CauseSweep        Cause = "sweep"
	CauseRequest      Cause = "request"
)

// Causes lists every Cause, for metrics that exist from the start.
func Causes() []Cause { return []Cause{CauseNotification, CauseLifecycle, CauseSweep, CauseRequest} }

// Change is one committed change of a session: an entry of its history and of the change feed.
type Change struct {
	// ID is a random UUID, and the Nats-Msg-Id under which the relay publishes the change.
	ID string
	// Cursor is the change's place in commit order; opaque outside this module.
	Cursor  int64
	Tenant  string
	Session string
	// Version is the session's version that this change made.
	Version int64
	Kind    ChangeKind
	Source  Source
	Cause   Cause
	// Before and After are JSON objects that hold just the fields which changed, named as in the platform API.
	Before json.RawMessage
	After  json.RawMessage
	// Participant is set when the change is one person's: rsvp_changed, time_proposed, attendee_added, attendee_removed.
	// Empty for somebody outside the programme.
	Participant string
	// OccurredAt is Outlook's own time of the change (lastModifiedDateTime) where it is known.
	OccurredAt time.Time
	// ReceivedAt is when pairsync first heard of it.
	ReceivedAt time.Time
	// Applied is false for a change made in Outlook that the tenant's policy keeps from the session.
	Applied bool
	// AppliedAt is when it was committed.
	AppliedAt time.Time
}
