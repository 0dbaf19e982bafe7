package subscriptions

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"pairsync/model"
)

// How long after an organisation's subscriptions were found to lead here they are looked at again: soon after the start,
// because while one version of us takes over from another the older may still have made some; then seldom.
const (
	addressSettles = 10 * time.Minute
	addressEvery   = 6 * time.Hour
)

// addressWatch remembers, by organisation, when its subscriptions are looked at next.
type addressWatch struct {
	next  map[string]time.Time
	tries map[string]int
	seen  map[string]bool
}

// elsewhere holds Graph's ids of the subscriptions that this process found to lead to another address.
type elsewhere struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (e *elsewhere) add(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids == nil {
		e.ids = make(map[string]bool)
	}
	for _, id := range ids {
		e.ids[id] = true
	}
}

func (e *elsewhere) take(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.ids[id]
	delete(e.ids, id)
	return found
}

// watchAddress looks, until ctx ends, for subscriptions of ours that lead to another address, because the public URL was
// changed: renewing one doesn't move it, and it would say nothing to us for days. Graph can't change both addresses of a
// subscription, so it is made anew. https://learn.microsoft.com/graph/api/subscription-update
func (r *Renewer) watchAddress(ctx context.Context) {
	w := addressWatch{next: map[string]time.Time{}, tries: map[string]int{}, seen: map[string]bool{}}
	for ctx.Err() == nil {
		tenants, err := r.store.Tenants(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "can't list tenants", slog.Any("error", err))
		}
		for _, t := range tenants {
			if now := time.Now(); t.Status == model.TenantConnected && !now.Before(w.next[t.ID]) {
				w.next[t.ID] = now.Add(r.checkAddress(ctx, &w, t.ID))
			}
		}
		r.pause(ctx, r.cfg.PollInterval, false)
	}
}

// checkAddress looks at one organisation's subscriptions and says when to look again.
func (r *Renewer) checkAddress(ctx context.Context, w *addressWatch, tenant string) time.Duration {
	if err := r.supersede(ctx, tenant); err != nil {
		w.tries[tenant]++
		if w.tries[tenant] == 1 && ctx.Err() == nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "can't see where subscriptions lead", slog.String("tenant", tenant), slog.Any("error", err))
		}
		return backoff{r.cfg.RetryMin, r.cfg.RetryMax}.after(w.tries[tenant])
	}
	w.tries[tenant] = 0
	if !w.seen[tenant] {
		w.seen[tenant] = true
		return addressSettles
	}
	return addressEvery
}

// supersede marks the organisation's subscriptions that lead elsewhere. Those that no row knows are another installation's
// and stay.
func (r *Renewer) supersede(ctx context.Context, tenant string) error {
	all, err := r.graph.Subscriptions(ctx, tenant)
	if err != nil {
		return err
	}
	var away []string
	for _, s := range all {
		if s.NotificationURL != "" && !sameAddress(s.NotificationURL, r.cfg.NotificationURL) {
			away = append(away, s.ID)
		}
	}
	if len(away) == 0 {
		return nil
	}
	r.elsewhere.add(away) // First, because they are due as soon as they are marked.
	marked, err := r.store.MarkSuperseded(ctx, tenant, away)
	if err != nil {
		return err
	}
	if marked > 0 {
		r.log.LogAttrs(ctx, slog.LevelInfo, "the public URL has changed, subscriptions are made anew",
			slog.String("tenant", tenant), slog.Int("subscriptions", marked))
	}
	return nil
}

// sameAddress compares addresses in spite of spellings that make no difference: replacing subscriptions because of one would
// never end.
func sameAddress(a, b string) bool {
	left, err := url.Parse(a)
	if err != nil {
		return a == b
	}
	right, err := url.Parse(b)
	if err != nil {
		return a == b
	}
	return strings.EqualFold(left.Scheme, right.Scheme) && strings.EqualFold(left.Hostname(), right.Hostname()) &&
		port(left) == port(right) && strings.TrimRight(left.Path, "/") == strings.TrimRight(right.Path, "/")
}

// port is an address's port, the scheme's own when it has none.
func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "http"):
		return "80"
	}
	return "443"
}
