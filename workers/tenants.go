package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"pairsync/model"
)

// connectionsLock is the advisory lock under which one process at a time looks after the connections.
const connectionsLock = "connections"

// The sizes: organisations looked at at once, and how long one may take.
const (
	tenantChecks    = 16
	tenantCheckTime = 20 * time.Second
)

// connections finds out which organisations let us in: consent may have been given before the platform named them, is given
// in Entra without our link, and is withdrawn without a word.
type connections struct {
	cfg     StewardConfig
	store   *model.Store
	token   func(ctx context.Context, tenant string) (tid string, roles []string, err error)
	expiry  func() (at time.Time, known bool, err error)
	metrics *stewardMetrics
	log     *slog.Logger
	// wake is filled when a tenant was written.
	wake chan struct{}
}

// Run looks after the connections until ctx ends, whenever no other process does.
func (c *connections) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		_, err := c.store.WithLock(ctx, connectionsLock, c.watch)
		wait := c.cfg.PollInterval
		if err != nil && ctx.Err() == nil {
			failures++
			wait = backoff(failures, c.cfg.RetryMin, c.cfg.RetryMax)
			c.log.WarnContext(ctx, "looking after the connections is interrupted", slog.String("error", err.Error()), slog.Duration("wait", wait))
		} else {
			failures = 0
		}
		_ = pause(ctx, wait) // The loop asks the context.
	}
	return nil
}

// visit is what is known of one organisation.
type visit struct {
	// writtenAt is what the row says; another one means that somebody wrote it.
	writtenAt time.Time
	tries     int
	due       time.Time
	under     bool
}

// round is the memory of whoever holds the lock.
type round struct {
	mu       sync.Mutex
	visits   map[string]*visit
	running  sync.WaitGroup
	slots    chan struct{}
	forecast time.Time
}

// watch looks at organisations as their time comes, until ctx ends or something fails.
func (c *connections) watch(ctx context.Context) error {
	r := &round{visits: make(map[string]*visit), slots: make(chan struct{}, tenantChecks)}
	defer r.running.Wait()
	for {
		tenants, err := c.store.Tenants(ctx)
		if err != nil {
			return fmt.Errorf("listing tenants: %w", err)
		}
		for _, t := range r.due(c.cfg, tenants, time.Now()) {
			r.running.Go(func() {
				if guard(ctx, c.log, func() { c.visit(ctx, r, t) }) != nil {
					return // It is in the log.
				}
			})
		}
		if now := time.Now(); now.Sub(r.forecast) >= c.cfg.ExpiryInterval {
			r.forecast = now
			if err := c.forecast(ctx, tenants, now); err != nil {
				return err
			}
		}
		t := time.NewTimer(backoff(1, c.cfg.TenantProbeMin, c.cfg.TenantProbeMin))
		select {
		case <-c.wake:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

// due picks the organisations whose time has come, and forgets those that are gone. One that was just written, unless by us,
// is due at once.
func (r *round) due(cfg StewardConfig, tenants []model.Tenant, now time.Time) []model.Tenant {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := make(map[string]bool, len(tenants))
	var due []model.Tenant
	for _, t := range tenants {
		if t.Method != model.MethodDomainWide || t.Status == model.TenantDisconnected {
			continue
		}
		there[t.ID] = true
		v := r.visits[t.ID]
		switch {
		case v == nil && t.Status == model.TenantConnected:
			// When we begin, those that are well need not be asked all at once.
			r.visits[t.ID] = &visit{writtenAt: t.UpdatedAt, due: now.Add(spread(cfg.TenantRecheck))}
			continue
		case v == nil:
			v = &visit{writtenAt: t.UpdatedAt, due: now}
			r.visits[t.ID] = v
		case v.under:
			continue
		case !v.writtenAt.Equal(t.UpdatedAt):
			v.writtenAt = t.UpdatedAt
			if t.Status != model.TenantConnected {
				v.tries, v.due = 0, now
			}
		}
		if !now.Before(v.due) {
			v.under = true
			due = append(due, t)
		}
	}
	for id, v := range r.visits {
		if !there[id] && !v.under {
			delete(r.visits, id)
		}
	}
	return due
}

// visit looks at one organisation and says when it is looked at next.
func (c *connections) visit(ctx context.Context, r *round, t model.Tenant) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return
	}
	now, err := c.check(ctx, t)
	if err != nil && ctx.Err() == nil {
		c.log.WarnContext(ctx, "a tenant's status can't be written", slog.String("tenant", t.ID), slog.String("error", err.Error()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.visits[t.ID]
	v.under, v.writtenAt = false, now.UpdatedAt
	v.tries++
	wait := backoff(v.tries, c.cfg.TenantProbeMin, c.cfg.TenantProbeMax)
	if now.Status == model.TenantConnected {
		v.tries, wait = 0, jitter(c.cfg.TenantRecheck)
	}
	v.due = time.Now().Add(wait)
}
