package model

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// Link is what the platform says of a session that exists as an event in the organizer's calendar.
type Link struct {
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
	// EventID is the immutable id in the organizer's mailbox.
	EventID string
}

// wanted is how a Link is kept, so that its repetition is known even after Outlook changed the session.
type wanted struct {
	Organizer     string    `json:"organizer"`
	Attendees     []string  `json:"attendees"`
	StartsAt      time.Time `json:"starts_at"`
	EndsAt        time.Time `json:"ends_at"`
	OnlineMeeting string    `json:"online_meeting"`
	EventID       string    `json:"event_id"`
}

// LinkSession makes an Outlook event a session. The first call writes the session, its first change (KindBooked), and makes
// the session due for its first reading and the organizer's mailbox wanted, at once.
//
// A repetition changes nothing, also after people moved the meeting in Outlook. Title and time zone can be changed at any
// time. A *NotSupportedError names everything else that differs from both what was asked before and what is. The error is a
// *MissingError when the tenant or a participant doesn't exist, and ErrConflict when another session has the event.
func (s *Store) LinkSession(ctx context.Context, l Link) (session Session, created bool, err error) {
	l = l.normalized()
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		attendees, err := s.attendeesOf(ctx, tx, l)
		if err != nil {
			return err
		}
		created, err = s.insertSession(ctx, tx, l, attendees)
		if err != nil {
			return err
		}
		if !created {
			if err := s.relink(ctx, tx, l); err != nil {
				return err
			}
		}
		row, err := s.q.GetSession(ctx, tx, dbsql.GetSessionParams{Tenant: l.Tenant, ID: l.ID})
		if err != nil {
			return fmt.Errorf("reading the session: %w", err)
		}
		session, err = sessionOf(row.Session, row.Email, row.MailboxStatus)
		if err != nil || !created {
			return err
		}
		return s.announce(ctx, tx, session)
	})
	if err != nil {
		return Session{}, false, err
	}
	return session, created, nil
}

func (l Link) normalized() Link {
	l.StartsAt, l.EndsAt = stored(l.StartsAt), stored(l.EndsAt)
	unique := make([]string, 0, len(l.Attendees))
	for _, id := range l.Attendees {
		if id != l.Organizer && !slices.Contains(unique, id) {
			unique = append(unique, id)
		}
	}
	l.Attendees = unique
	return l
}

// attendeesOf looks up the people of a link.
func (s *Store) attendeesOf(ctx context.Context, tx pgx.Tx, l Link) ([]Attendee, error) {
	ids := append([]string{l.Organizer}, l.Attendees...)
	rows, err := s.q.ParticipantsByID(ctx, tx, dbsql.ParticipantsByIDParams{Tenant: l.Tenant, Ids: ids})
	if err != nil {
		return nil, fmt.Errorf("looking up participants: %w", err)
	}
	emails := make(map[string]string, len(rows))
	for _, row := range rows {
		emails[row.ID] = row.Email
	}
	attendees := make([]Attendee, 0, len(l.Attendees))
	for _, id := range ids {
		email, ok := emails[id]
		if !ok {
			return nil, s.whoIsMissing(ctx, tx, l.Tenant, id)
		}
		if id != l.Organizer {
			attendees = append(attendees, Attendee{Participant: id, Email: email, RSVP: RSVP{Response: ResponseNone}})
		}
	}
	return attendees, nil
}

func (s *Store) whoIsMissing(ctx context.Context, tx pgx.Tx, tenant, participant string) error {
	exists, err := s.q.TenantExists(ctx, tx, tenant)
	if err != nil {
		return fmt.Errorf("looking up the tenant: %w", err)
	}
	if !exists {
		return &MissingError{Thing: ThingTenant, ID: tenant}
	}
	return &MissingError{Thing: ThingParticipant, ID: participant}
}

func (s *Store) insertSession(ctx context.Context, tx pgx.Tx, l Link, attendees []Attendee) (bool, error) {
	encoded, err := json.Marshal(attendees)
	if err != nil {
		return false, fmt.Errorf("encoding the attendees: %w", err)
	}
	n, err := s.q.InsertSession(ctx, tx, dbsql.InsertSessionParams{
		Tenant: l.Tenant, ID: l.ID, Organizer: l.Organizer, StartsAt: l.StartsAt, EndsAt: l.EndsAt,
		TimeZone: l.TimeZone, Title: l.Title, OnlineMeeting: l.OnlineMeeting, Attendees: encoded,
		EventID: nullString(l.EventID),
	})
	if violates(err, codeUniqueViolation, "sessions_event") {
		return false, ErrConflict
	}
	if err != nil {
		return false, fmt.Errorf("writing the session: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, s.saveRequest(ctx, tx, l)
}

func (s *Store) saveRequest(ctx context.Context, tx pgx.Tx, l Link) error {
	encoded, err := json.Marshal(l.wanted())
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	arg := dbsql.InsertRequestParams{Tenant: l.Tenant, Session: l.ID, Wanted: encoded}
	if err := s.q.InsertRequest(ctx, tx, arg); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	return nil
}

// relink compares a link with the one before and with the session as it is.
func (s *Store) relink(ctx context.Context, tx pgx.Tx, l Link) error {
	row, err := s.q.LockSessionRequest(ctx, tx, dbsql.LockSessionRequestParams{Tenant: l.Tenant, ID: l.ID})
	if err != nil {
		return fmt.Errorf("locking the session: %w", err)
	}
	session, err := sessionOf(row.Session, row.Email, row.MailboxStatus)
	if err != nil {
		return err
	}
	var before wanted
	if err := json.Unmarshal(row.Wanted, &before); err != nil {
		return fmt.Errorf("decoding the request: %w", err)
	}
	if names := l.wanted().unlike(before, session.wanted()); len(names) > 0 {
		return &NotSupportedError{Fields: names}
	}
	err = s.q.UpdateSessionWords(ctx, tx, dbsql.UpdateSessionWordsParams{
		Tenant: l.Tenant, ID: l.ID, Title: l.Title, TimeZone: l.TimeZone,
	})
	if err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}
	return s.saveRequest(ctx, tx, l)
}

// announce tells of a session that has just been linked.
func (s *Store) announce(ctx context.Context, tx pgx.Tx, session Session) error {
	touched := dbsql.TouchSubscriptionsParams{
		Tenants: []string{session.Tenant}, Participants: []string{session.Organizer}, Ends: []time.Time{{}},
	}
	if err := s.q.TouchSubscriptions(ctx, tx, touched); err != nil {
		return fmt.Errorf("waking the subscription: %w", err)
	}
	if err := s.q.NotifySweep(ctx, tx); err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	people := make([]fields, 0, len(session.Attendees))
	for _, a := range session.Attendees {
		people = append(people, person(a))
	}
	booked := Change{
		ID: uuid.NewString(), Tenant: session.Tenant, Session: session.ID, Version: session.Version,
		Kind: KindBooked, Source: SourcePlatform, Cause: CauseRequest,
		After: marshalFields(fields{
			"status": session.Status, "organizer": session.Organizer, "attendees": people,
			"starts_at": session.StartsAt, "ends_at": session.EndsAt, "time_zone": session.TimeZone,
		}),
		OccurredAt: session.CreatedAt, ReceivedAt: session.CreatedAt,
	}
	if _, err := s.q.WriteChanges(ctx, tx, changesParams([]Change{booked})); err != nil {
		return fmt.Errorf("writing the change: %w", err)
	}
	return nil
}

func (l Link) wanted() wanted {
	return wanted{l.Organizer, l.Attendees, l.StartsAt, l.EndsAt, l.OnlineMeeting, l.EventID}
}

// wanted is the request that would leave the session as it is.
func (s Session) wanted() wanted {
	w := wanted{s.Organizer, nil, s.StartsAt, s.EndsAt, s.OnlineMeeting, s.EventID}
	for _, a := range s.Attendees {
		if a.Participant != "" {
			w.Attendees = append(w.Attendees, a.Participant)
		}
	}
	return w
}

// unlike names the fields in which w is like neither of the two others.
func (w wanted) unlike(before, is wanted) []string {
	var names []string
	note := func(name string, likeBefore, likeIs bool) {
		if !likeBefore && !likeIs {
			names = append(names, name)
		}
	}
	note("organizer", w.Organizer == before.Organizer, w.Organizer == is.Organizer)
	note("attendees", samePeople(w.Attendees, before.Attendees), samePeople(w.Attendees, is.Attendees))
	note("starts_at", w.StartsAt.Equal(before.StartsAt), w.StartsAt.Equal(is.StartsAt))
	note("ends_at", w.EndsAt.Equal(before.EndsAt), w.EndsAt.Equal(is.EndsAt))
	note("online_meeting", w.OnlineMeeting == before.OnlineMeeting, w.OnlineMeeting == is.OnlineMeeting)
	note("outlook.event_id", w.EventID == before.EventID, w.EventID == is.EventID)
	return names
}

func samePeople(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
