package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"pairsync/internal/callback"
	"pairsync/internal/mail"
	"pairsync/model"
)

// StewardConfig says how the Steward paces itself. The zero value of each field has the meaning stated with it.
type StewardConfig struct {
	// CallbackWidth is how many of one tenant's changes may be on their way to its receiver at once; 0 means 8.
	CallbackWidth int
	// CallbackRetryMin and CallbackRetryMax bound the backoff of a change that was not received; 0 means 5 s and 6 h.
	CallbackRetryMin, CallbackRetryMax time.Duration
	// CallbackPauseAfter is how often in a row a receiver fails, and CallbackPauseTime for how long at least, until it is left
	// alone and reported; 0 means 5 and 1 min.
	CallbackPauseAfter int
	CallbackPauseTime  time.Duration
	// CallbackProbeMax is the longest time between two tries of a receiver that is left alone; 0 means 15 min. The times are a
	// quarter of how long it has been ill.
	CallbackProbeMax time.Duration
	// CallbackAge is how long a change is tried; 0 means 72 h.
	CallbackAge time.Duration
	// CallbackLease is how long a process may take over a change before another takes it; 0 means 1 min. It is longer than
	// the callback client's own timeout.
	CallbackLease time.Duration
	// MailGather is how long a letter waits for more news of its tenant; 0 means 30 s.
	MailGather time.Duration
	// MailRetryMin and MailRetryMax bound the backoff of a letter that was certainly not sent; 0 means 1 min and 2 h.
	MailRetryMin, MailRetryMax time.Duration
	// MailLease is how long a process may take until it begins to send a letter; 0 means 5 min.
	MailLease time.Duration
	// TenantProbeMin and TenantProbeMax bound the backoff between two looks at whether an organisation that is not connected
	// lets us in by now; 0 means 5 s and 5 min.
	TenantProbeMin, TenantProbeMax time.Duration
	// TenantRecheck is how often an organisation that is connected is looked at; 0 means 1 h.
	TenantRecheck time.Duration
	// ExpiryInterval is how often the end of the application's credential is looked at; 0 means 1 h.
	ExpiryInterval time.Duration
	// PollInterval is the longest time between two looks at the database; 0 means 5 s.
	PollInterval time.Duration
	// RetryMin and RetryMax bound the backoff after trouble with the database; 0 means 0.5 s and 30 s.
	RetryMin, RetryMax time.Duration
	// Grace is how long calls under way may take once the context ended; 0 means 8 s.
	Grace time.Duration
}

// withDefaults fills in what is zero.
func (c StewardConfig) withDefaults() StewardConfig {
	c.CallbackWidth = cmp.Or(c.CallbackWidth, 8)
	c.CallbackRetryMin = cmp.Or(c.CallbackRetryMin, 5*time.Second)
	c.CallbackRetryMax = cmp.Or(c.CallbackRetryMax, 6*time.Hour)
	c.CallbackPauseAfter = cmp.Or(c.CallbackPauseAfter, 5)
	c.CallbackPauseTime = cmp.Or(c.CallbackPauseTime, time.Minute)
	c.CallbackProbeMax = cmp.Or(c.CallbackProbeMax, 15*time.Minute)
	c.CallbackAge = cmp.Or(c.CallbackAge, 72*time.Hour)
	c.CallbackLease = cmp.Or(c.CallbackLease, time.Minute)
	c.MailGather = cmp.Or(c.MailGather, 30*time.Second)
	c.MailRetryMin = cmp.Or(c.MailRetryMin, time.Minute)
	c.MailRetryMax = cmp.Or(c.MailRetryMax, 2*time.Hour)
	c.MailLease = cmp.Or(c.MailLease, 5*time.Minute)
	c.TenantProbeMin = cmp.Or(c.TenantProbeMin, 5*time.Second)
	c.TenantProbeMax = cmp.Or(c.TenantProbeMax, 5*time.Minute)
	c.TenantRecheck = cmp.Or(c.TenantRecheck, time.Hour)
	c.ExpiryInterval = cmp.Or(c.ExpiryInterval, time.Hour)
	c.PollInterval = cmp.Or(c.PollInterval, 5*time.Second)
	c.RetryMin = cmp.Or(c.RetryMin, 500*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, 30*time.Second)
	c.Grace = cmp.Or(c.Grace, 8*time.Second)
	return c
}

// validate names the field that can't work.
func (c StewardConfig) validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"CallbackWidth", int64(c.CallbackWidth)},
		{"CallbackRetryMin", int64(c.CallbackRetryMin)},
		{"CallbackPauseAfter", int64(c.CallbackPauseAfter)},
		{"CallbackPauseTime", int64(c.CallbackPauseTime)},
		{"CallbackProbeMax", int64(c.CallbackProbeMax)},
		{"CallbackAge", int64(c.CallbackAge)},
		{"CallbackLease", int64(c.CallbackLease)},
		{"MailGather", int64(c.MailGather)},
		{"MailRetryMin", int64(c.MailRetryMin)},
		{"MailLease", int64(c.MailLease)},
		{"TenantProbeMin", int64(c.TenantProbeMin)},
		{"TenantRecheck", int64(c.TenantRecheck)},
		{"ExpiryInterval", int64(c.ExpiryInterval)},
		{"PollInterval", int64(c.PollInterval)},
		{"RetryMin", int64(c.RetryMin)},
		{"Grace", int64(c.Grace)},
	} {
		if f.value < 0 {
			return fmt.Errorf("%s is negative", f.name)
		}
	}
	for _, pair := range []struct {
		name              string
		shortest, longest time.Duration
	}{
		{"CallbackRetry", c.CallbackRetryMin, c.CallbackRetryMax},
		{"MailRetry", c.MailRetryMin, c.MailRetryMax},
		{"TenantProbe", c.TenantProbeMin, c.TenantProbeMax},
		{"Retry", c.RetryMin, c.RetryMax},
	} {
		if pair.longest < pair.shortest {
			return fmt.Errorf("%sMax is below %sMin", pair.name, pair.name)
		}
	}
	return nil
}

// StewardDeps is what a Steward works with. All of it is required but Post.
type StewardDeps struct {
	Store *model.Store
	// Sealer opens callback secrets.
	Sealer *model.Sealer
	// Receivers calls tenants' receivers of callbacks; *callback.Client is one.
	Receivers interface {
		Send(ctx context.Context, m callback.Message) error
	}
	// Post sends letters; *mail.Sender is one. Nil means that they are only logged.
	Post interface {
		Send(ctx context.Context, l mail.Letter) error
	}
	// Entra tells how organisations stand to the application; *graph.Client is one.
	Entra interface {
		TokenTenant(ctx context.Context, tenant string) (tid string, roles []string, err error)
		CredentialExpiry() (at time.Time, known bool, err error)
	}
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Steward looks after those whom pairsync serves: it calls the tenants' receivers of changes, tells the owners of integrations
// by mail what is broken and what is mended, and finds out which organisations let us in. Any number of them share the work.
//
// What it promises: a session's changes reach the receiver in order and at least once, one tenant's receiver delays no other
// tenant's; no letter is sent twice, and none holds an address but its own; what an organisation withdraws or grants shows.
type Steward struct {
	cfg         StewardConfig
	store       *model.Store
	callbacks   *callbacks
	mails       *mails
	connections *connections
}

// NewSteward checks cfg and deps and registers the metrics. Nothing runs yet.
func NewSteward(cfg StewardConfig, deps StewardDeps) (*Steward, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("steward: %w", err)
	}
	if deps.Store == nil || deps.Sealer == nil || deps.Receivers == nil || deps.Entra == nil || deps.Log == nil || deps.Registerer == nil {
		return nil, errors.New("steward: a dependency is missing")
	}
	m := newStewardMetrics(deps.Registerer)
	s := &Steward{
		cfg: cfg, store: deps.Store,
		callbacks: &callbacks{
			cfg: cfg, store: deps.Store, sealer: deps.Sealer, send: deps.Receivers.Send, metrics: m, log: deps.Log,
			wake: make(chan struct{}, 1), receivers: make(map[string]*receiver),
		},
		mails: &mails{cfg: cfg, store: deps.Store, metrics: m, log: deps.Log, wake: make(chan struct{}, 1)},
		connections: &connections{
			cfg: cfg, store: deps.Store, token: deps.Entra.TokenTenant, expiry: deps.Entra.CredentialExpiry, log: deps.Log,
			metrics: m, wake: make(chan struct{}, 1),
		},
	}
	if deps.Post != nil {
		s.mails.send = deps.Post.Send
	}
	return s, nil
}

// Run works until ctx ends. Then it begins nothing new, lets calls under way end for as long as Grace, and returns nil.
// Trouble with PostgreSQL, receivers, mail servers or Entra never ends it.
func (s *Steward) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() {
		// It only ends the wait early when all work is done.
		_ = pause(work, s.cfg.Grace)
		cut()
	})
	defer stop()

	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.callbacks.Run(ctx, work) })
	all.Go(func() error { return s.mails.Run(ctx, work) })
	all.Go(func() error { return s.connections.Run(ctx) })
	all.Go(func() error {
		s.connections.watchExpiry(ctx)
		return nil
	})
	for wake, channels := range map[chan struct{}][]string{
		s.callbacks.wake:   {model.ChannelChanges, model.ChannelCallbacks},
		s.mails.wake:       {model.ChannelMails},
		s.connections.wake: {model.ChannelTenants},
	} {
		all.Go(func() error { return s.store.Listen(ctx, func(string) { fill(wake) }, channels...) })
	}
	return all.Wait()
}
