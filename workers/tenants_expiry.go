package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"pairsync/model"
)

// day is one of those that a forecast counts.
const day = 24 * time.Hour

// certificateWords name the credential in a letter.
const certificateWords = "the application's certificate"

// forecastDays are how many days ahead owners are told, the nearest first.
func forecastDays() []int { return []int{7, 30} }

// watchExpiry shows the end of the credential in the metric until ctx ends, in every process.
func (c *connections) watchExpiry(ctx context.Context) {
	for ctx.Err() == nil {
		c.showExpiry(ctx)
		_ = pause(ctx, c.cfg.ExpiryInterval) // The loop asks the context.
	}
}

func (c *connections) showExpiry(ctx context.Context) {
	at, known, err := c.expiry()
	switch {
	case err != nil:
		c.log.WarnContext(ctx, "the end of the application's credential can't be told", slog.String("error", err.Error()))
	case known:
		c.metrics.expires(at)
	}
}

// forecast tells the owners of integrations that the credential will expire, once for each of the days. Somebody who was not
// told 30 days ahead because it was not known is told of the nearest only.
func (c *connections) forecast(ctx context.Context, tenants []model.Tenant, now time.Time) error {
	at, known, err := c.expiry()
	if err != nil || !known {
		return nil //nolint:nilerr // watchExpiry says so; the connections are looked after all the same.
	}
	ahead := 0
	for _, days := range forecastDays() {
		if left := at.Sub(now); left > 0 && left <= time.Duration(days)*day {
			ahead = days
			break
		}
	}
	if ahead == 0 {
		return nil
	}
	for _, t := range tenants {
		if t.Status == model.TenantDisconnected {
			continue
		}
		_, err := c.store.ForecastExpiry(ctx, t.ID, certificateWords, at, ahead)
		if err != nil && !errors.Is(err, model.ErrNotFound) {
			return fmt.Errorf("forecasting an expiry: %w", err)
		}
	}
	return nil
}
