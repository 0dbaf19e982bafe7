package workers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// wards keeps the word on mailboxes and tenants: who can't be read, and who can again.
type wards struct {
	store              *model.Store
	probeMin, probeMax time.Duration
	log                *slog.Logger
	// marked tells the sweep that there is a probe to come.
	marked func()
}

// ward names a participant's mailbox.
type ward struct{ tenant, participant string }

// fell marks a mailbox, and for trouble with a whole tenant that too. Its sessions stand as they are, and one probe after
// each backoff finds out when it is well again.
func (w *wards) fell(ctx context.Context, who ward, t trouble) error {
	if t.remedy == remedyTenant {
		news, err := w.store.SetTenantStatus(ctx, who.tenant, model.TenantFailing, t.reason)
		if err != nil {
			return fmt.Errorf("marking a tenant as failing: %w", err)
		}
		if news {
			w.log.WarnContext(ctx, "an organisation can't be read", slog.String("tenant", who.tenant), slog.String("reason", t.reason))
		}
	}
	news, err := w.store.MailboxFailed(ctx, who.tenant, who.participant, t.status, t.reason, w.probeMin, w.probeMax)
	if err != nil {
		return fmt.Errorf("marking a mailbox as unreachable: %w", err)
	}
	if news {
		w.log.WarnContext(ctx, "a mailbox can't be read, its sessions stand as last known", slog.String("tenant", who.tenant),
			slog.String("participant", who.participant), slog.String("reason", t.reason))
	}
	w.marked()
	if denied(t.reason) {
		return w.shut(ctx, who.tenant, t.reason)
	}
	return nil
}

// deniedReasons are those for which a mailbox is denied to us in a way that may be the whole organisation's.
func deniedReasons() []string {
	return []string{graph.ReasonAccessDenied, graph.ReasonPermissionMissing}
}

func denied(reason string) bool { return slices.Contains(deniedReasons(), reason) }

// shut marks a tenant that denies access to all of its mailboxes, as it does when its consent was withdrawn and the
// application stays: tokens are still given, and are good for nothing.
func (w *wards) shut(ctx context.Context, tenant, reason string) error {
	shut, err := w.store.TenantShut(ctx, tenant, deniedReasons())
	if err != nil || !shut {
		return err
	}
	t, err := w.store.Tenant(ctx, tenant)
	if err != nil {
		return fmt.Errorf("reading a tenant: %w", err)
	}
	if t.Status != model.TenantConnected {
		return nil
	}
	if _, err := w.store.SetTenantStatus(ctx, tenant, model.TenantFailing, reason); err != nil {
		return fmt.Errorf("marking a tenant as failing: %w", err)
	}
	w.log.WarnContext(ctx, "an organisation denies access to all of its mailboxes", slog.String("tenant", tenant), slog.String("reason", reason))
	return nil
}

// read is told of every reading that got through, with the session as it was, before the reading is committed: what is
// still marked when that is done would stay so until the next reading.
func (w *wards) read(ctx context.Context, s model.Session) error {
	if s.OrganizerMailbox == model.MailboxOK {
		return nil
	}
	news, err := w.store.MailboxHealed(ctx, s.Tenant, s.Organizer)
	if err != nil {
		return fmt.Errorf("marking a mailbox as well: %w", err)
	}
	if news && s.OrganizerMailbox != model.MailboxUnknown {
		w.log.InfoContext(ctx, "a mailbox can be read again", slog.String("tenant", s.Tenant), slog.String("participant", s.Organizer))
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
