package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"pairsync/model/internal/dbsql"
)

// wanted is how a SessionRequest is kept, so that its repetition is known even after Outlook changed the session.
type wanted struct {
	Organizer     string    `json:"organizer"`
	Attendees     []string  `json:"attendees"`
	StartsAt      time.Time `json:"starts_at"`
	EndsAt        time.Time `json:"ends_at"`
	OnlineMeeting string    `json:"online_meeting"`
	EventID       string    `json:"event_id"`
}

// PutSession brings a session to what the platform wants. The first call writes the session and its first change
// (KindBooked). With an event id it links that event, which is read at once; without, it opens a request to book one.
//
// A later call with other times or people changes the session and opens a request to change the event, all in one
// transaction. What equals the request before is a repetition and asks for nothing, also after people moved the meeting in
// Outlook, unless SeenVersion is the newest version. A request for other times that is older than the last move in Outlook
// has lost to it, which is put on record (KindSuperseded). The time zone, and the title of an event that was linked, are only
// kept; the title of one that was booked is changed in Outlook too.
//
// A *NotSupportedError names what can't be changed: organizer, online meeting, event. ErrCancelled says that the session is
// cancelled and asked to be otherwise. The error is a *MissingError when the tenant or a participant doesn't exist, and
// ErrConflict when another session has the event.
func (s *Store) PutSession(ctx context.Context, r SessionRequest) (session Session, created bool, err error) {
	r = r.normalized()
	session, created, err = s.put(ctx, r)
	if errors.Is(err, ErrConflict) {
		// The other session may have been this one, written by a request that came at the same time: PostgreSQL looks at the
		// event's index even when the session's own has a conflict that is to be ignored.
		session, created, err = s.put(ctx, r)
	}
	return session, created, err
}

func (s *Store) put(ctx context.Context, r SessionRequest) (session Session, created bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		attendees, err := s.attendeesOf(ctx, tx, r)
		if err != nil {
			return err
		}
		created, err = s.insertSession(ctx, tx, r, attendees)
		if err != nil {
			return err
		}
		if !created {
			if err := s.change(ctx, tx, r, attendees); err != nil {
				return err
			}
		}
		session, err = s.session(ctx, tx, r.Tenant, r.ID)
		if err != nil || !created {
			return err
		}
		return s.announce(ctx, tx, session, r.At)
	})
	if err != nil {
		return Session{}, false, err
	}
	return session, created, nil
}

func (r SessionRequest) normalized() SessionRequest {
	r.StartsAt, r.EndsAt = stored(r.StartsAt), stored(r.EndsAt)
	if r.At.IsZero() {
		r.At = time.Now()
	}
	r.At = stored(r.At)
	unique := make([]string, 0, len(r.Attendees))
	for _, id := range r.Attendees {
		if id != r.Organizer && !slices.Contains(unique, id) {
			unique = append(unique, id)
		}
	}
	r.Attendees = unique
	return r
}

// attendeesOf looks up the people of a request.
func (s *Store) attendeesOf(ctx context.Context, tx pgx.Tx, r SessionRequest) ([]Attendee, error) {
	ids := append([]string{r.Organizer}, r.Attendees...)
	rows, err := s.q.ParticipantsByID(ctx, tx, dbsql.ParticipantsByIDParams{Tenant: r.Tenant, Ids: ids})
	if err != nil {
		return nil, fmt.Errorf("looking up participants: %w", err)
	}
	emails := make(map[string]string, len(rows))
	for _, row := range rows {
		emails[row.ID] = row.Email
	}
	attendees := make([]Attendee, 0, len(r.Attendees))
	for _, id := range ids {
		email, ok := emails[id]
		if !ok {
			return nil, s.whoIsMissing(ctx, tx, r.Tenant, id)
		}
		if id != r.Organizer {
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

func (s *Store) insertSession(ctx context.Context, tx pgx.Tx, r SessionRequest, attendees []Attendee) (bool, error) {
	encoded, err := json.Marshal(attendees)
	if err != nil {
		return false, fmt.Errorf("encoding the attendees: %w", err)
	}
	book := r.EventID == ""
	var wish Session
	if book {
		wish.Request = &Request{
			Version: 1, RequestedAt: r.At, Kind: RequestBook, Open: true, Times: true, People: true, TimesAt: r.At,
			Bookings: 1,
		}
	}
	intent, err := encodeIntent(wish)
	if err != nil {
		return false, err
	}
	n, err := s.q.InsertSession(ctx, tx, dbsql.InsertSessionParams{
		Tenant: r.Tenant, ID: r.ID, Organizer: r.Organizer, StartsAt: r.StartsAt, EndsAt: r.EndsAt,
		TimeZone: r.TimeZone, Title: r.Title, OnlineMeeting: r.OnlineMeeting, Attendees: encoded,
		EventID: nullString(r.EventID), Intent: intent,
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
	if encoded, err = json.Marshal(r.wanted()); err != nil {
		return false, fmt.Errorf("encoding the request: %w", err)
	}
	err = s.q.InsertRequest(ctx, tx, dbsql.InsertRequestParams{
		Tenant: r.Tenant, Session: r.ID, Wanted: encoded, RequestedAt: &r.At, Open: book,
	})
	if err != nil {
		return false, fmt.Errorf("writing the request: %w", err)
	}
	return true, nil
}

// announce tells of a session that is new.
func (s *Store) announce(ctx context.Context, tx pgx.Tx, session Session, at time.Time) error {
	touched := dbsql.TouchSubscriptionsParams{
		Tenants: []string{session.Tenant}, Participants: []string{session.Organizer}, Ends: []time.Time{{}},
	}
	if err := s.q.TouchSubscriptions(ctx, tx, touched); err != nil {
		return fmt.Errorf("waking the subscription: %w", err)
	}
	notify := s.q.NotifySweep
	if session.Request != nil {
		notify = s.q.NotifyCommands
	}
	if err := notify(ctx, tx); err != nil {
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
		OccurredAt: at, ReceivedAt: at, Applied: true,
	}
	if _, err := s.q.WriteChanges(ctx, tx, changesParams([]Change{booked})); err != nil {
		return fmt.Errorf("writing the change: %w", err)
	}
	return nil
}

// change compares a request with the one before and with the session as it is, and carries over what is new in it.
func (s *Store) change(ctx context.Context, tx pgx.Tx, r SessionRequest, attendees []Attendee) error {
	locked, err := s.lockRequest(ctx, tx, r.Tenant, r.ID)
	if err != nil {
		return err
	}
	var before wanted
	if err := json.Unmarshal(locked.row.Wanted, &before); err != nil {
		return fmt.Errorf("decoding the request: %w", err)
	}
	session := locked.session
	want, is := r.wanted(), session.wanted()
	if want.EventID == "" {
		want.EventID = before.EventID // Nothing is said of it.
	}
	if names := want.unlike(before, is); len(names) > 0 {
		return &NotSupportedError{Fields: names}
	}
	hasSeen := r.SeenVersion == session.Version
	moves := !want.sameTimes(is) && (hasSeen || !want.sameTimes(before))
	added, removed := peopleToChange(session, want.Attendees, before.Attendees, attendees, hasSeen)
	if session.Status == SessionCancelled && (moves || len(added)+len(removed) > 0) {
		return ErrCancelled
	}
	in := newIntention(session, locked.row.Version, int(locked.row.Bookings), r.At)
	in.after.TimeZone, in.after.Title = r.TimeZone, r.Title
	retitled := r.Title != session.Title && before.EventID == "" && session.Status == SessionScheduled
	if moves {
		last, err := s.q.LastMoveInOutlook(ctx, tx, dbsql.LastMoveInOutlookParams{Tenant: r.Tenant, Session: r.ID})
		if err != nil {
			return fmt.Errorf("looking for the last move: %w", err)
		}
		if moves = !last.After(in.at); !moves {
			in.lose(r.StartsAt, r.EndsAt)
		}
	}
	if moves || len(added)+len(removed) > 0 || retitled {
		starts, ends := r.StartsAt, r.EndsAt
		if !moves {
			starts, ends = time.Time{}, time.Time{}
		}
		in.put(starts, ends, added, removed, retitled)
	}
	if err := s.saveWanted(ctx, tx, r, want); err != nil {
		return err
	}
	if in.idle() {
		return nil
	}
	return s.intend(ctx, tx, in)
}

func (s *Store) saveWanted(ctx context.Context, tx pgx.Tx, r SessionRequest, want wanted) error {
	encoded, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	err = s.q.SaveWanted(ctx, tx, dbsql.SaveWantedParams{Tenant: r.Tenant, Session: r.ID, Wanted: encoded})
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	return nil
}

func (r SessionRequest) wanted() wanted {
	return wanted{r.Organizer, r.Attendees, r.StartsAt, r.EndsAt, r.OnlineMeeting, r.EventID}
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

func (w wanted) sameTimes(other wanted) bool {
	return w.StartsAt.Equal(other.StartsAt) && w.EndsAt.Equal(other.EndsAt)
}

// unlike names the fields which can't be changed and in which w is like neither of the two others.
func (w wanted) unlike(before, is wanted) []string {
	var names []string
	note := func(name string, likeBefore, likeIs bool) {
		if !likeBefore && !likeIs {
			names = append(names, name)
		}
	}
	note("organizer", w.Organizer == before.Organizer, w.Organizer == is.Organizer)
	note("online_meeting", w.OnlineMeeting == before.OnlineMeeting, w.OnlineMeeting == is.OnlineMeeting)
	note("outlook.event_id", w.EventID == before.EventID, w.EventID == is.EventID)
	return names
}
