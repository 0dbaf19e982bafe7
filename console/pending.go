package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"pairsync/model"
)

// listPending lists what was done in Outlook and waits for the platform's answer, oldest first. Without a status only what is
// open.
func (c *Console) listPending(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "status", "limit", "cursor")
	status := q.status(string(model.PendingOpen), string(model.PendingApplied), string(model.PendingUndone), string(model.PendingWithdrawn), "all")
	after, limit := q.feedCursor("cursor"), q.limit()
	if q.first != nil {
		return q.first
	}
	pending, err := c.store.Pending(r.Context(), tenant.ID, model.PendingStatus(statusFilter(status, string(model.PendingOpen))), after, limit+1)
	if err != nil {
		return fmt.Errorf("listing pending changes: %w", err)
	}
	return writeJSON(w, http.StatusOK, newPage(pending, limit, func(last model.Pending) string { return formatFeedCursor(last.Number) }))
}

// statusFilter is what the store filters by: nothing for all.
func statusFilter(given, fallback string) string {
	switch given {
	case "":
		return fallback
	case "all":
		return ""
	}
	return given
}

// applyPending takes over what was done in Outlook.
func (c *Console) applyPending(w http.ResponseWriter, r *http.Request, who principal) error {
	return c.answerPending(w, r, who, c.store.ApplyPending)
}

// undoPending has Outlook brought back to what the session says.
func (c *Console) undoPending(w http.ResponseWriter, r *http.Request, who principal) error {
	return c.answerPending(w, r, who, c.store.UndoPending)
}

func (c *Console) answerPending(
	w http.ResponseWriter, r *http.Request, who principal,
	answer func(ctx context.Context, tenant, id string, at time.Time) (model.Pending, error),
) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	if err := c.readNothing(w, r); err != nil {
		return err
	}
	id := r.PathValue("pending")
	answered, err := answer(r.Context(), tenant.ID, id, time.Now())
	switch {
	case errors.Is(err, model.ErrNotFound):
		return notFound("pending change", shorten(id))
	case errors.Is(err, model.ErrSettled):
		return newProblem(kindConflict, "the pending change was answered before, or somebody has changed the meeting in Outlook since: list the pending changes again")
	case err != nil:
		return fmt.Errorf("answering a pending change: %w", err)
	}
	return writeJSON(w, http.StatusOK, answered)
}
