package console

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pairsync/model"
)

const (
	maxAttendees = 500
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
		Status:        model.SessionStatus(q.oneOf("status", string(model.SessionScheduled), string(model.SessionCancelled))),
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

// putSession links a session to the event that exists for it in the organizer's mailbox.
func (c *Console) putSession(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := tenantOf(r, who)
	if err != nil {
		return err
	}
	id, err := idOf(r, "session")
	if err != nil {
		return err
	}
	body, err := c.readObject(w, r, "organizer", "attendees", "starts_at", "ends_at", "time_zone", "title", "online_meeting", "outlook")
	if err != nil {
		return err
	}
	link := body.link()
	link.Tenant, link.ID = tenant, id
	if err := body.err(); err != nil {
		return err
	}
	stored, isNew, err := c.store.LinkSession(r.Context(), link)
	if err != nil {
		return linkProblem(r, link, err)
	}
	return writeJSON(w, created(isNew), stored)
}

// link reads a session's body.
func (o *object) link() model.Link {
	link := model.Link{
		Organizer:     o.text("organizer", "the id of the participant in whose calendar the meeting is", maxID),
		Attendees:     o.ids("attendees", "ids of participants", maxAttendees),
		StartsAt:      o.time("starts_at", "when the meeting starts"),
		EndsAt:        o.time("ends_at", "when the meeting ends"),
		TimeZone:      o.zone("time_zone"),
		Title:         o.optionalText("title", "what the platform calls the session", maxName),
		OnlineMeeting: o.oneOf("online_meeting", noMeeting, noMeeting, teamsMeeting),
		EventID:       o.eventID(),
	}
	if o.err() != nil {
		return link
	}
	if !link.EndsAt.After(link.StartsAt) {
		o.fail("ends_at", "must be after starts_at")
	}
	if i := slices.Index(link.Attendees, link.Organizer); i >= 0 {
		o.fail(fmt.Sprintf("attendees[%d]", i), "is the organizer, who is not to be named among the attendees")
	}
	if link.EventID == "" && o.err() == nil {
		*o.first = &problemError{
			kind: kindUnsupported, field: "outlook.event_id",
			detail: "outlook.event_id is needed: this release links events that exist in Outlook; booking new ones comes with the next one",
		}
	}
	return link
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

// linkProblem says what the store has against a link, or gives its error back.
func linkProblem(r *http.Request, link model.Link, err error) error {
	if missing, ok := errors.AsType[*model.MissingError](err); ok {
		if missing.Thing == model.ThingTenant {
			return notFound("tenant", r.PathValue("tenant"))
		}
		field := "organizer"
		if i := slices.Index(link.Attendees, missing.ID); i >= 0 {
			field = fmt.Sprintf("attendees[%d]", i)
		}
		return invalid(field, "names the participant %q, who is not known: PUT the participant first", missing.ID)
	}
	if unsupported, ok := errors.AsType[*model.NotSupportedError](err); ok && len(unsupported.Fields) > 0 {
		p := &problemError{kind: kindConflict, field: unsupported.Fields[0]}
		p.detail = strings.Join(unsupported.Fields, ", ") + " can't be changed once the session is linked; send what was sent at first"
		if !slices.ContainsFunc(unsupported.Fields, func(f string) bool { return f != "starts_at" && f != "ends_at" }) {
			p.kind = kindUnsupported
			p.detail = strings.Join(unsupported.Fields, ", ") + " can't be changed from the platform in this release; move the meeting in Outlook, or send what was sent at first"
		}
		return p
	}
	if errors.Is(err, model.ErrConflict) {
		return &problemError{
			kind: kindConflict, field: "outlook.event_id",
			detail: "outlook.event_id is linked to another session of this tenant; an event is one session",
		}
	}
	return fmt.Errorf("linking the session: %w", err)
}
