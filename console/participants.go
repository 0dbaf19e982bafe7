package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pairsync/model"
)

const maxWindows = 100

// idOf is the platform's id in the path under the given name.
func idOf(r *http.Request, name string) (string, error) {
	id := r.PathValue(name)
	if validID(id) {
		return id, nil
	}
	if r.Method == http.MethodPut {
		return "", invalid(name, "(in the path) must be 1 to %d characters without control characters", maxID)
	}
	return "", notFound(name, shorten(strings.ToValidUTF8(id, "\uFFFD")))
}

func (c *Console) getParticipant(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := tenantOf(r, who)
	if err != nil {
		return err
	}
	id, err := idOf(r, "participant")
	if err != nil {
		return err
	}
	participant, err := c.store.Participant(r.Context(), tenant, id)
	if errors.Is(err, model.ErrNotFound) {
		return notFound("participant", id)
	}
	if err != nil {
		return fmt.Errorf("reading the participant: %w", err)
	}
	return writeJSON(w, http.StatusOK, participant)
}

// listParticipants lists a tenant's participants by their ids.
func (c *Console) listParticipants(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "limit", "cursor")
	after, limit := q.idCursor(), q.limit()
	if q.first != nil {
		return q.first
	}
	participants, err := c.store.Participants(r.Context(), tenant.ID, after, limit+1)
	if err != nil {
		return fmt.Errorf("listing participants: %w", err)
	}
	return writeJSON(w, http.StatusOK, newPage(participants, limit, func(last model.Participant) string { return formatIDCursor(last.ID) }))
}

func (c *Console) putParticipant(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := tenantOf(r, who)
	if err != nil {
		return err
	}
	id, err := idOf(r, "participant")
	if err != nil {
		return err
	}
	body, err := c.readObject(w, r, "email", "name", "availability")
	if err != nil {
		return err
	}
	participant := model.Participant{
		Tenant:       tenant,
		ID:           id,
		Email:        body.email("email", "the address of the person's mailbox"),
		Name:         body.optionalText("name", "the person's name", maxName),
		Availability: body.availability(),
	}
	if err := body.err(); err != nil {
		return err
	}
	stored, isNew, err := c.store.PutParticipant(r.Context(), participant)
	if errors.Is(err, model.ErrNotFound) {
		return notFound("tenant", r.PathValue("tenant"))
	}
	if err != nil {
		return fmt.Errorf("storing the participant: %w", err)
	}
	return writeJSON(w, created(isNew), stored)
}

// availability reads the weekly windows in which a participant is ready to meet; none means no limit.
func (o *object) availability() []model.Availability {
	var windows []model.Availability
	for i, raw := range o.list("availability", "weekly windows of days, from, to and time_zone", maxWindows) {
		o := newObject(raw, fmt.Sprintf("availability[%d].", i), o.first, []string{"days", "from", "to", "time_zone"})
		windows = append(windows, o.window())
	}
	return windows
}

func (o *object) window() model.Availability {
	window := model.Availability{
		Days:     o.days(),
		From:     o.text("from", "a wall-clock time HH:MM", 5),
		To:       o.text("to", "a wall-clock time HH:MM", 5),
		TimeZone: o.zone("time_zone"),
	}
	if o.err() != nil {
		return window
	}
	from, ok := clock(window.From)
	if !ok || from == 24*60 {
		o.fail(o.path+"from", "must be a wall-clock time HH:MM such as 09:00")
	}
	to, ok := clock(window.To)
	if !ok {
		o.fail(o.path+"to", "must be a wall-clock time HH:MM such as 17:30, or 24:00")
	}
	if to <= from {
		o.fail(o.path+"to", "must be after from; give a window past midnight as two")
	}
	return window
}

func (o *object) days() []string {
	week := []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	what := "days of the week, such as monday"
	if _, ok := o.need("days", what); !ok {
		return nil
	}
	var days []string
	for i, raw := range o.list("days", what, len(week)) {
		field := fmt.Sprintf("%sdays[%d]", o.path, i)
		day := o.textOf(raw, field, what, 16)
		if o.err() == nil && !slices.Contains(week, day) {
			o.fail(field, "must be one of %s", strings.Join(week, ", "))
		}
		if slices.Contains(days, day) {
			o.fail(field, "is given twice")
		}
		days = append(days, day)
	}
	if len(days) == 0 {
		o.fail(o.path+"days", "must name at least one day")
	}
	return days
}

// zone is a required IANA time zone.
func (o *object) zone(name string) string {
	s := o.text(name, "an IANA time zone such as Europe/Berlin", 64)
	if o.err() == nil && !validZone(s) {
		o.fail(o.path+name, "must be an IANA time zone such as Europe/Berlin or UTC")
	}
	return s
}

// ids is a required array of the platform's ids, each given once.
func (o *object) ids(name, what string, limit int) []string {
	if _, ok := o.need(name, "an array of "+what); !ok {
		return nil
	}
	ids := []string{}
	for i, raw := range o.list(name, what, limit) {
		field := fmt.Sprintf("%s%s[%d]", o.path, name, i)
		id := o.id(raw, field)
		if o.err() == nil && slices.Contains(ids, id) {
			o.fail(field, "is given twice")
		}
		ids = append(ids, id)
	}
	return ids
}

// id reads one of the platform's ids.
func (o *object) id(raw json.RawMessage, field string) string {
	return o.textOf(raw, field, "the id of a participant", maxID)
}
