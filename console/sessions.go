package console

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"pairsync/model"
)

const (
	maxAttendees = 500
	maxComment   = 2000
	// noMeeting and teamsMeeting are the choices of online_meeting.
	noMeeting    = "none"
	teamsMeeting = "teams"
)

// sessionOf is the session in the path, if it exists and the principal may know of it.
func (c *Console) sessionOf(r *http.Request, who principal) (model.Session, error) {
	tenant, err := tenantOf(r, who)
	if err != nil {
		return model.Session{}, err
	}
	id, err := idOf(r, "session")
	if err != nil {
		return model.Session{}, err
	}
	session, err := c.store.Session(r.Context(), tenant, id)
	if errors.Is(err, model.ErrNotFound) {
		return model.Session{}, notFound("session", id)
	}
	if err != nil {
		return model.Session{}, fmt.Errorf("reading the session: %w", err)
	}
	return session, nil
}

func (c *Console) getSession(w http.ResponseWriter, r *http.Request, who principal) error {
	session, err := c.sessionOf(r, who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, session)
}

// listSessions lists a tenant's sessions by their start.
func (c *Console) listSessions(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "status", "participant", "from", "to", "limit", "cursor")
	after, limit := q.listCursor(), q.limit()
	filter := model.SessionFilter{
		Tenant:        tenant.ID,
		Status:        model.SessionStatus(q.status(string(model.SessionScheduled), string(model.SessionCancelled))),
		Participant:   q.text("participant"),
		From:          q.time("from"),
		To:            q.time("to"),
		AfterStartsAt: after.startsAt,
		AfterID:       after.id,
		Limit:         limit + 1,
	}
	if filter.Participant != "" && !validID(filter.Participant) {
		q.fail("participant", "must be the id of a participant")
	}
	if q.first == nil && !filter.From.IsZero() && !filter.To.IsZero() && !filter.To.After(filter.From) {
		q.fail("to", "must be after from")
	}
	if q.first != nil {
		return q.first
	}
	sessions, err := c.store.Sessions(r.Context(), filter)
	if err != nil {
		return fmt.Errorf("listing sessions: %w", err)
	}
	return writeJSON(w, http.StatusOK, newPage(sessions, limit, func(last model.Session) string {
		return listPlace{startsAt: last.StartsAt, id: last.ID}.String()
	}))
}

// putSession books a session, links it to the event that exists for it, or changes it to what the platform wants now.
func (c *Console) putSession(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := tenantOf(r, who)
	if err != nil {
		return err
	}
	id, err := idOf(r, "session")
	if err != nil {
		return err
	}
	body, err := c.readObject(w, r, sessionMembers()...)
	if err != nil {
		return err
	}
	wish := body.session()
	wish.Tenant, wish.ID, wish.At = tenant, id, time.Now()
	if err := body.err(); err != nil {
		return err
	}
	stored, isNew, err := c.store.PutSession(r.Context(), wish)
	if err != nil {
		return sessionProblem(r, wish, err)
	}
	return writeJSON(w, created(isNew), stored)
}

// cancelSession cancels a session, in Outlook too. To cancel one again changes nothing.
func (c *Console) cancelSession(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := tenantOf(r, who)
	if err != nil {
		return err
	}
	id, err := idOf(r, "session")
	if err != nil {
		return err
	}
	body, err := c.readOptionalObject(w, r, "comment")
	if err != nil {
		return err
	}
	comment := body.optionalLines("comment", "what the attendees are told", maxComment)
	if err := body.err(); err != nil {
		return err
	}
	stored, err := c.store.CancelSession(r.Context(), tenant, id, comment, time.Now())
	if errors.Is(err, model.ErrNotFound) {
		return notFound("session", id)
	}
	if err != nil {
		return fmt.Errorf("cancelling the session: %w", err)
	}
	return writeJSON(w, http.StatusOK, stored)
}

// sessionMembers are the members of a session's body.
func sessionMembers() []string {
	return []string{"organizer", "attendees", "starts_at", "ends_at", "time_zone", "title", "online_meeting", "outlook", "version"}
}

// session reads a session's body.
func (o *object) session() model.SessionRequest {
	wish := model.SessionRequest{
		Organizer:     o.text("organizer", "the id of the participant in whose calendar the meeting is", maxID),
		Attendees:     o.ids("attendees", "ids of participants", maxAttendees),
		StartsAt:      o.time("starts_at", "when the meeting starts"),
		EndsAt:        o.time("ends_at", "when the meeting ends"),
		TimeZone:      o.zone("time_zone"),
		Title:         o.optionalText("title", "what the platform calls the session", maxName),
		OnlineMeeting: o.oneOf("online_meeting", noMeeting, noMeeting, teamsMeeting),
		EventID:       o.eventID(),
		SeenVersion:   int64(o.number("version", 0, 0, math.MaxInt32)),
	}
	if o.err() != nil {
		return wish
	}
	if !wish.EndsAt.After(wish.StartsAt) {
		o.fail("ends_at", "must be after starts_at")
	}
	if i := slices.Index(wish.Attendees, wish.Organizer); i >= 0 {
		o.fail(fmt.Sprintf("attendees[%d]", i), "is the organizer, who is not to be named among the attendees")
	}
	return wish
}

// eventID reads outlook.event_id; empty when it isn't given.
func (o *object) eventID() string {
	outlook := o.inside("outlook", "event_id")
	if outlook == nil || !outlook.has("event_id") {
		return ""
	}
	id := outlook.text("event_id", "the event's immutable id in the organizer's mailbox", maxEvent)
	if strings.ContainsFunc(id, func(r rune) bool { return r < '!' || r > '~' }) {
		outlook.fail("outlook.event_id", "must be the event's immutable id just as Graph gives it, without spaces")
	}
	return id
}

// sessionProblem says what the store has against a session, or gives its error back.
func sessionProblem(r *http.Request, wish model.SessionRequest, err error) error {
	if missing, ok := errors.AsType[*model.MissingError](err); ok {
		if missing.Thing == model.ThingTenant {
			return notFound("tenant", r.PathValue("tenant"))
		}
		field := "organizer"
		if i := slices.Index(wish.Attendees, missing.ID); i >= 0 {
			field = fmt.Sprintf("attendees[%d]", i)
		}
		return invalid(field, "names the participant %q, who is not known: PUT the participant first", missing.ID)
	}
	if unsupported, ok := errors.AsType[*model.NotSupportedError](err); ok && len(unsupported.Fields) > 0 {
		return &problemError{
			kind: kindConflict, field: unsupported.Fields[0],
			detail: strings.Join(unsupported.Fields, ", ") + " can't be changed: cancel this session and book a new one, or send what was sent at first",
		}
	}
	if errors.Is(err, model.ErrCancelled) {
		return &problemError{
			kind: kindConflict, field: "status",
			detail: "the session is cancelled and stays so: book a new one, under another id",
		}
	}
	if errors.Is(err, model.ErrConflict) {
		return &problemError{
			kind: kindConflict, field: "outlook.event_id",
			detail: "outlook.event_id is linked to another session of this tenant; an event is one session",
		}
	}
	return fmt.Errorf("storing the session: %w", err)
}
