package console

import (
	"fmt"
	"net/http"

	"pairsync/model"
)

// listIncidents lists when the organisation, a mailbox or the receiver of callbacks was in trouble, oldest first. Whoever looks
// after the integration is told of them by mail, where mail is set up; they are shown here in any case.
func (c *Console) listIncidents(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "status", "limit", "cursor")
	status := q.status("open", "all")
	after, limit := q.feedCursor("cursor"), q.limit()
	if q.first != nil {
		return q.first
	}
	incidents, err := c.store.Incidents(r.Context(), tenant.ID, status == "open", after, limit+1)
	if err != nil {
		return fmt.Errorf("listing incidents: %w", err)
	}
	return writeJSON(w, http.StatusOK, newPage(incidents, limit, func(last model.Incident) string { return formatFeedCursor(last.ID) }))
}
