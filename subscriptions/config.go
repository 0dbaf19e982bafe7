package subscriptions

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/graph"
	"pairsync/model"
)

// Config says what is asked of Graph and how the Renewer paces itself. The zero value of each field has the meaning stated
// with it.
type Config struct {
	// NotificationURL and LifecycleURL are where Graph reaches the webhook. Required.
	NotificationURL string
	LifecycleURL    string
	// Lifetime is asked of Graph for each subscription, less when Graph has refused that; 0 means 166 h.
	Lifetime time.Duration
	// Concurrency is how many subscriptions are worked on at once, TenantConcurrency how many of one tenant; 0 means 64 and 16.
	Concurrency       int
	TenantConcurrency int
	// Lease is how long a subscription is claimed; work on one ends before that; 0 means 45 s. It is also how long the subscription
	// that a process died over waits for another.
	Lease time.Duration
	// PollInterval is the longest pause between two looks at the database; 0 means 15 s.
	PollInterval time.Duration
	// RetryMin and RetryMax bound the pause after trouble that passes; 0 means 2 s and 5 min.
	RetryMin, RetryMax time.Duration
	// ProbeMin and ProbeMax bound the pause after trouble that somebody must mend; 0 means 15 s and 15 min.
	ProbeMin, ProbeMax time.Duration
	// Grace is how long work in hand may take once the context ended; 0 means 15 s.
	Grace time.Duration
}

// Deps are what the Renewer works with; all are required.
type Deps struct {
	Store        *model.Store
	Graph        *graph.Client
	ClientStates *model.ClientStates
	Log          *slog.Logger
	Registerer   prometheus.Registerer
}

func (c Config) withDefaults() Config {
	c.Lifetime = cmp.Or(c.Lifetime, 166*time.Hour)
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	c.TenantConcurrency = cmp.Or(c.TenantConcurrency, min(16, c.Concurrency))
	c.Lease = cmp.Or(c.Lease, 45*time.Second)
	c.PollInterval = cmp.Or(c.PollInterval, 15*time.Second)
	c.RetryMin = cmp.Or(c.RetryMin, 2*time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, max(5*time.Minute, c.RetryMin))
	c.ProbeMin = cmp.Or(c.ProbeMin, 15*time.Second)
	c.ProbeMax = cmp.Or(c.ProbeMax, max(15*time.Minute, c.ProbeMin))
	c.Grace = cmp.Or(c.Grace, 15*time.Second)
	return c
}

// validate names the field that can't work.
func (c Config) validate() error {
	switch {
	case c.NotificationURL == "":
		return errors.New("NotificationURL is missing")
	case c.LifecycleURL == "":
		return errors.New("LifecycleURL is missing")
	case c.TenantConcurrency > c.Concurrency:
		return errors.New("TenantConcurrency is above Concurrency")
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Lifetime", int64(c.Lifetime)},
		{"Concurrency", int64(c.Concurrency)},
		{"TenantConcurrency", int64(c.TenantConcurrency)},
		{"Lease", int64(c.Lease)},
		{"PollInterval", int64(c.PollInterval)},
		{"RetryMin", int64(c.RetryMin)},
		{"ProbeMin", int64(c.ProbeMin)},
		{"Grace", int64(c.Grace)},
	} {
		if f.value < 0 {
			return fmt.Errorf("%s is negative", f.name)
		}
	}
	for _, pair := range []struct {
		name     string
		min, max time.Duration
	}{
		{"Retry", c.RetryMin, c.RetryMax}, {"Probe", c.ProbeMin, c.ProbeMax},
	} {
		if pair.max < pair.min {
			return fmt.Errorf("%sMax is below %sMin", pair.name, pair.name)
		}
	}
	return nil
}

func (d Deps) validate() error {
	if d.Store == nil || d.Graph == nil || d.ClientStates == nil || d.Log == nil || d.Registerer == nil {
		return errors.New("a dependency is missing")
	}
	return nil
}
