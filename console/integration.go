package console

import (
	"errors"
	"fmt"
	"net/http"

	"pairsync/model"
)

const maxNote = 1000

// askForIntegration notes that a participant asks the organisation's admin for the integration. A second request while the
// first one is open is the same request.
func (c *Console) askForIntegration(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	body, err := c.readObject(w, r, "participant", "note")
	if err != nil {
		return err
	}
	request := model.IntegrationRequest{
		Tenant:      tenant.ID,
		Participant: body.text("participant", "the id of the participant who asks", maxID),
		Message:     body.optionalLines("note", "what the person says to the admin", maxNote),
	}
	if err := body.err(); err != nil {
		return err
	}
	stored, isNew, err := c.store.PutIntegrationRequest(r.Context(), request)
	if errors.Is(err, model.ErrNotFound) {
		return invalid("participant", "names %q, who is not known: PUT the participant first", request.Participant)
	}
	if err != nil {
		return fmt.Errorf("storing the integration request: %w", err)
	}
	return writeJSON(w, created(isNew), stored)
}

// listIntegrationRequests lists the requests, oldest first. Without a status all of them.
func (c *Console) listIntegrationRequests(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "status", "limit", "cursor")
	status := q.status(string(model.IntegrationOpen), string(model.IntegrationApproved), string(model.IntegrationDeclined))
	after, limit := q.feedCursor("cursor"), q.limit()
	if q.first != nil {
		return q.first
	}
	requests, err := c.store.IntegrationRequests(r.Context(), tenant.ID, model.IntegrationStatus(status), after, limit+1)
	if err != nil {
		return fmt.Errorf("listing integration requests: %w", err)
	}
	return writeJSON(w, http.StatusOK, newPage(requests, limit, func(last model.IntegrationRequest) string { return formatFeedCursor(last.Number) }))
}

func (c *Console) approveIntegration(w http.ResponseWriter, r *http.Request, who principal) error {
	return c.answerIntegration(w, r, who, model.IntegrationApproved)
}

func (c *Console) declineIntegration(w http.ResponseWriter, r *http.Request, who principal) error {
	return c.answerIntegration(w, r, who, model.IntegrationDeclined)
}

// answerIntegration notes the admin's answer. It connects nobody by itself: that takes the admin's consent, or the person's
// own sign-in, for which there are links.
func (c *Console) answerIntegration(w http.ResponseWriter, r *http.Request, who principal, status model.IntegrationStatus) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	body, err := c.readOptionalObject(w, r, "note")
	if err != nil {
		return err
	}
	note := body.optionalLines("note", "what the admin answers", maxNote)
	if err := body.err(); err != nil {
		return err
	}
	id := r.PathValue("request")
	answered, err := c.store.AnswerIntegrationRequest(r.Context(), tenant.ID, id, status, note)
	switch {
	case errors.Is(err, model.ErrNotFound):
		return notFound("integration request", shorten(id))
	case errors.Is(err, model.ErrSettled):
		return newProblem(kindConflict, "the integration request was answered before, as "+string(answered.Status))
	case err != nil:
		return fmt.Errorf("answering the integration request: %w", err)
	}
	return writeJSON(w, http.StatusOK, answered)
}
