package model

import (
	"encoding/json"
	"time"
)

// PendingStatus is what became of a change that waited for an answer.
type PendingStatus string

// The statuses: waiting, taken over, taken back in Outlook, or overtaken by what somebody did in Outlook afterwards.
const (
	PendingOpen      PendingStatus = "open"
	PendingApplied   PendingStatus = "applied"
	PendingUndone    PendingStatus = "undone"
	PendingWithdrawn PendingStatus = "withdrawn"
)

// Pending is a reschedule or a cancellation that was made in Outlook and waits for the platform's answer, under PolicyAsk.
type Pending struct {
	// ID is a random UUID.
	ID string
	// Number orders the list, oldest first; opaque outside this module.
	Number  int64
	Tenant  string
	Session string
	// Kind is KindRescheduled or KindCancelled.
	Kind   ChangeKind
	Status PendingStatus
	// Before and After are as in a Change of that kind.
	Before     json.RawMessage
	After      json.RawMessage
	OccurredAt time.Time
	ReceivedAt time.Time
	// AnsweredAt is nil while the change is open.
	AnsweredAt *time.Time
}

// OpenPending names the change of a session that waits for an answer.
type OpenPending struct {
	ID   string     `json:"id"`
	Kind ChangeKind `json:"kind"`
}
