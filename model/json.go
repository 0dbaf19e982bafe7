package model

import (
	"encoding/json"
	"strconv"
	"time"
)

// nullString is the string, or nil for an empty one, so that JSON shows null for what is not known.
func nullString(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

type attendeeJSON struct {
	Participant *string `json:"participant"`
	Email       string  `json:"email"`
	RSVP        RSVP    `json:"rsvp"`
}

type outlookJSON struct {
	EventID        *string      `json:"event_id"`
	ICalUID        *string      `json:"ical_uid"`
	ChangeKey      *string      `json:"change_key"`
	LastModifiedAt *time.Time   `json:"last_modified_at"`
	State          OutlookState `json:"state"`
	Reason         *string      `json:"reason"`
}

// MarshalJSON gives the session the shape of the platform API: null for what is not known, never a missing name.
func (s Session) MarshalJSON() ([]byte, error) {
	attendees := make([]attendeeJSON, 0, len(s.Attendees))
	for _, a := range s.Attendees {
		attendees = append(attendees, attendeeJSON{nullString(a.Participant), a.Email, a.RSVP})
	}
	return json.Marshal(struct {
		ID            string         `json:"id"`
		Tenant        string         `json:"tenant"`
		Status        SessionStatus  `json:"status"`
		Organizer     string         `json:"organizer"`
		StartsAt      time.Time      `json:"starts_at"`
		EndsAt        time.Time      `json:"ends_at"`
		TimeZone      string         `json:"time_zone"`
		Title         *string        `json:"title"`
		OnlineMeeting *string        `json:"online_meeting"`
		JoinURL       *string        `json:"join_url"`
		Attendees     []attendeeJSON `json:"attendees"`
		Outlook       outlookJSON    `json:"outlook"`
		Version       int64          `json:"version"`
		VerifiedAt    *time.Time     `json:"verified_at"`
	}{
		s.ID, s.Tenant, s.Status, s.Organizer, s.StartsAt, s.EndsAt, s.TimeZone, nullString(s.Title),
		nullString(s.OnlineMeeting), nullString(s.JoinURL), attendees,
		outlookJSON{
			nullString(s.EventID), nullString(s.ICalUID), nullString(s.ChangeKey), s.LastModifiedAt, s.State,
			nullString(s.StateReason()),
		},
		s.Version, s.VerifiedAt,
	})
}

// MarshalJSON gives the change the shape of the platform API. The cursor is a decimal string.
func (c Change) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID          string          `json:"id"`
		Cursor      string          `json:"cursor"`
		Tenant      string          `json:"tenant"`
		Session     string          `json:"session"`
		Version     int64           `json:"version"`
		Kind        ChangeKind      `json:"kind"`
		Source      Source          `json:"source"`
		Cause       Cause           `json:"cause"`
		Before      json.RawMessage `json:"before"`
		After       json.RawMessage `json:"after"`
		Participant *string         `json:"participant"`
		OccurredAt  time.Time       `json:"occurred_at"`
		ReceivedAt  time.Time       `json:"received_at"`
		AppliedAt   time.Time       `json:"applied_at"`
		Applied     bool            `json:"applied"`
	}{
		c.ID, strconv.FormatInt(c.Cursor, 10), c.Tenant, c.Session, c.Version, c.Kind, c.Source, c.Cause,
		c.Before, c.After, nullString(c.Participant), c.OccurredAt, c.ReceivedAt, c.AppliedAt, c.Applied,
	})
}

type policyJSON struct {
	Reschedule PolicyChoice `json:"reschedule"`
	Cancel     PolicyChoice `json:"cancel"`
}

// MarshalJSON gives the tenant the shape of the platform API.
func (t Tenant) MarshalJSON() ([]byte, error) {
	p := t.Policy.withDefaults()
	var callback *callbackJSON
	if c := t.Callback; c != nil {
		callback = &callbackJSON{c.Status, nullString(c.Reason), c.Queued}
	}
	return json.Marshal(struct {
		ID           string        `json:"id"`
		Name         string        `json:"name"`
		OwnerEmail   string        `json:"owner_email"`
		Method       Method        `json:"method"`
		CallbackURL  *string       `json:"callback_url"`
		Policy       policyJSON    `json:"policy"`
		Status       TenantStatus  `json:"status"`
		StatusReason *string       `json:"status_reason"`
		Callback     *callbackJSON `json:"callback"`
	}{
		t.ID, t.Name, t.OwnerEmail, t.Method, nullString(t.CallbackURL), policyJSON(p), t.Status,
		nullString(t.StatusReason), callback,
	})
}

type callbackJSON struct {
	Status CallbackStatus `json:"status"`
	Reason *string        `json:"reason"`
	Queued int            `json:"queued"`
}

// MarshalJSON gives the pending change the shape of the platform API.
func (p Pending) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID         string          `json:"id"`
		Tenant     string          `json:"tenant"`
		Session    string          `json:"session"`
		Kind       ChangeKind      `json:"kind"`
		Status     PendingStatus   `json:"status"`
		Before     json.RawMessage `json:"before"`
		After      json.RawMessage `json:"after"`
		OccurredAt time.Time       `json:"occurred_at"`
		ReceivedAt time.Time       `json:"received_at"`
		AnsweredAt *time.Time      `json:"answered_at"`
	}{
		p.ID, p.Tenant, p.Session, p.Kind, p.Status, p.Before, p.After, p.OccurredAt, p.ReceivedAt, p.AnsweredAt,
	})
}

// MarshalJSON gives the integration request the shape of the platform API.
func (r IntegrationRequest) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID          string            `json:"id"`
		Tenant      string            `json:"tenant"`
		Participant string            `json:"participant"`
		Status      IntegrationStatus `json:"status"`
		Note        *string           `json:"note"`
		Answer      *string           `json:"answer"`
		CreatedAt   time.Time         `json:"created_at"`
		AnsweredAt  *time.Time        `json:"answered_at"`
	}{
		r.ID, r.Tenant, r.Participant, r.Status, nullString(r.Message), nullString(r.Answer), r.CreatedAt, r.AnsweredAt,
	})
}

// MarshalJSON gives the incident the shape of the platform API.
func (i Incident) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID          string        `json:"id"`
		Tenant      string        `json:"tenant"`
		Scope       IncidentScope `json:"scope"`
		Participant *string       `json:"participant"`
		Status      string        `json:"status"`
		Reason      string        `json:"reason"`
		OpenedAt    time.Time     `json:"opened_at"`
		ClosedAt    *time.Time    `json:"closed_at"`
	}{
		strconv.FormatInt(i.ID, 10), i.Tenant, i.Scope, nullString(i.Participant), i.Status, i.Reason, i.OpenedAt,
		i.ClosedAt,
	})
}

type subscriptionJSON struct {
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}

type mailboxJSON struct {
	Status       MailboxStatus     `json:"status"`
	Reason       *string           `json:"reason"`
	Subscription *subscriptionJSON `json:"subscription"`
}

// MarshalJSON gives the participant the shape of the platform API.
func (p Participant) MarshalJSON() ([]byte, error) {
	availability := p.Availability
	if availability == nil {
		availability = []Availability{}
	}
	return json.Marshal(struct {
		ID           string         `json:"id"`
		Tenant       string         `json:"tenant"`
		Email        string         `json:"email"`
		Name         *string        `json:"name"`
		Availability []Availability `json:"availability"`
		Mailbox      mailboxJSON    `json:"mailbox"`
	}{
		p.ID, p.Tenant, p.Email, nullString(p.Name), availability,
		mailboxJSON{p.MailboxStatus, nullString(p.MailboxReason), (*subscriptionJSON)(p.Subscription)},
	})
}
