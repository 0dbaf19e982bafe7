package workers

import (
	"context"
	"fmt"
	"time"

	"pairsync/model"
)

// wards keeps the word on mailboxes and tenants: who can't be read, and who can again.
type wards struct {
	store              *model.Store
	probeMin, probeMax time.Duration
	// marked tells the sweep that there is a probe to come.
	marked func()
}

// ward names a participant's mailbox.
type ward struct{ tenant, participant string }

// fell marks a mailbox, and for trouble with a whole tenant that too. Its sessions stand as they are, and one probe after
// each backoff finds out when it is well again.
func (w *wards) fell(ctx context.Context, who ward, t trouble) error {
	if t.remedy == remedyTenant {
		if _, err := w.store.SetTenantStatus(ctx, who.tenant, model.TenantFailing, t.reason); err != nil {
			return fmt.Errorf("marking a tenant as failing: %w", err)
		}
	}
	if _, err := w.store.MailboxFailed(ctx, who.tenant, who.participant, t.status, t.reason, w.probeMin, w.probeMax); err != nil {
		return fmt.Errorf("marking a mailbox as unreachable: %w", err)
	}
	w.marked()
	return nil
}

// read is told of every reading that got through, with the session as it was, before the reading is committed: what is
// still marked when that is done would stay so until the next reading.
func (w *wards) read(ctx context.Context, s model.Session) error {
	if s.OrganizerMailbox == model.MailboxOK {
		return nil
	}
	if _, err := w.store.MailboxHealed(ctx, s.Tenant, s.Organizer); err != nil {
		return fmt.Errorf("marking a mailbox as well: %w", err)
	}
	t, err := w.store.Tenant(ctx, s.Tenant)
	if err != nil {
		return fmt.Errorf("reading a tenant: %w", err)
	}
	if t.Status == model.TenantFailing || t.Status == model.TenantPendingConsent {
		if _, err := w.store.SetTenantStatus(ctx, s.Tenant, model.TenantConnected, ""); err != nil {
			return fmt.Errorf("marking a tenant as connected: %w", err)
		}
	}
	return nil
}
