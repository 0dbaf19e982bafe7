package console

import (
	"errors"
	"fmt"
	"net/http"

	"pairsync/model"
)

// listChanges is the feed of all changes that the token may see. Its next_cursor is always set: it is where to go on,
// also when there is nothing new yet.
func (c *Console) listChanges(w http.ResponseWriter, r *http.Request, who principal) error {
	q := readQuery(r, "after", "cursor", "limit", "tenant")
	after, limit := q.feedCursor("after", "cursor"), q.limit()
	if q.first != nil {
		return q.first
	}
	tenant, err := c.feedTenant(r, q, who)
	if err != nil {
		return err
	}
	changes, err := c.store.Changes(r.Context(), tenant, after, limit)
	if err != nil {
		return fmt.Errorf("reading changes: %w", err)
	}
	if len(changes) > 0 {
		after = changes[len(changes)-1].Cursor
	}
	p := newPage(changes, limit, nil)
	next := formatFeedCursor(after)
	p.NextCursor = &next
	return writeJSON(w, http.StatusOK, p)
}

// feedTenant is the tenant to which a feed is limited, by its token or by the parameter; empty when it isn't.
func (c *Console) feedTenant(r *http.Request, q *query, who principal) (string, error) {
	given := q.text("tenant")
	if given == "" {
		return who.tenant, nil
	}
	tenant, ok := canonicalTenant(given)
	if !ok || !who.sees(tenant) {
		return "", notFound("tenant", shorten(given))
	}
	_, err := c.store.Tenant(r.Context(), tenant)
	if errors.Is(err, model.ErrNotFound) {
		return "", notFound("tenant", given)
	}
	if err != nil {
		return "", fmt.Errorf("reading the tenant: %w", err)
	}
	return tenant, nil
}

// listSessionChanges is one session's history, oldest first.
func (c *Console) listSessionChanges(w http.ResponseWriter, r *http.Request, who principal) error {
	session, err := c.sessionOf(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "cursor", "after", "limit")
	after, limit := q.feedCursor("cursor", "after"), q.limit()
	if q.first != nil {
		return q.first
	}
	changes, err := c.store.SessionChanges(r.Context(), session.Tenant, session.ID, after, limit+1)
	if err != nil {
		return fmt.Errorf("reading the session's changes: %w", err)
	}
	return writeJSON(w, http.StatusOK, newPage(changes, limit, func(last model.Change) string {
		return formatFeedCursor(last.Cursor)
	}))
}
