package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"pairsync/internal/callback"
	"pairsync/model"
)

// The sizes: changes claimed at once, and changes on their way at once in this process.
const (
	callbackClaim = 128
	callbackMost  = 512
)

// callbackWrite bounds what is written after a call.
const callbackWrite = 10 * time.Second

// callbacks sends committed changes to the tenants' own receivers: each session's one after another, those of different
// sessions side by side, and of each tenant only so many that a slow receiver delays nobody else's.
//
// A change is sent at least once: a process that dies after the receiver took one leaves it to be sent again, under the same
// webhook-id.
type callbacks struct {
	cfg     StewardConfig
	store   *model.Store
	sealer  *model.Sealer
	send    func(ctx context.Context, m callback.Message) error
	metrics *stewardMetrics
	log     *slog.Logger
	// wake is filled when something may have become due, or when there is room again.
	wake chan struct{}

	running sync.WaitGroup
	mu      sync.Mutex
	inHand  int
	// receivers are kept for as long as the process lives: there are as many as tenants.
	receivers map[string]*receiver
	expiredAt time.Time
}

// Run claims what is due until ctx ends, and then waits for the calls under way, which end with work.
func (c *callbacks) Run(ctx, work context.Context) error {
	defer c.running.Wait()
	errand{
		once: func(ctx context.Context) (bool, error) { return c.claim(ctx, work) },
		due:  c.store.NextCallbackDue, poll: c.cfg.PollInterval, retryMin: c.cfg.RetryMin, retryMax: c.cfg.RetryMax,
		wake: c.wake, log: c.log, interrupted: "sending callbacks is interrupted",
	}.run(ctx)
	return nil
}

// claim starts what is due and for which there is room.
func (c *callbacks) claim(ctx, work context.Context) (more bool, err error) {
	if err := c.expire(ctx); err != nil {
		return false, err
	}
	room, busy := c.room()
	if room == 0 {
		return false, nil
	}
	share := (c.cfg.CallbackWidth + 1) / 2
	due, err := c.store.ClaimCallbacks(ctx, min(room, callbackClaim), share, c.cfg.CallbackLease, busy)
	if err != nil {
		return false, fmt.Errorf("claiming callbacks: %w", err)
	}
	for _, d := range due {
		c.take(d)
		c.running.Go(func() {
			defer fill(c.wake)
			defer c.done(d)
			if err := guard(work, c.log, func() { c.deliver(work, d) }); err != nil {
				return // It is in the log, and the lease lapses.
			}
		})
	}
	return len(due) > 0, nil
}

// expire gives up, from time to time, what was tried in vain for too long.
func (c *callbacks) expire(ctx context.Context) error {
	now := time.Now()
	if now.Sub(c.expiredAt) < c.cfg.CallbackAge/100 {
		return nil
	}
	n, err := c.store.ExpireCallbacks(ctx, c.cfg.CallbackAge)
	if err != nil {
		return err
	}
	c.expiredAt = now
	if n > 0 {
		c.metrics.called(callbackGivenUp, n)
		c.log.WarnContext(ctx, "changes were given up that their receivers did not take; they stay in the feed", slog.Int("changes", n))
	}
	return nil
}

// deliver sends one change and writes what became of it.
func (c *callbacks) deliver(ctx context.Context, d model.Delivery) {
	err := c.call(ctx, d)
	if ctx.Err() != nil {
		return // Nobody knows whether it was received: the lease lapses, and it is sent again.
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackWrite)
	defer cancel()
	if err == nil {
		err = c.received(ctx, d)
	} else {
		err = c.refused(ctx, d, err)
	}
	if err != nil && !errors.Is(err, model.ErrNotFound) {
		c.log.WarnContext(ctx, "the outcome of a callback can't be written", slog.String("error", err.Error()))
	}
}

// call makes the message and sends it.
func (c *callbacks) call(ctx context.Context, d model.Delivery) error {
	ctx, span := startTrace(ctx, "callback")
	defer span.End()
	body, err := callback.Body{Type: cloudEventType + string(d.Change.Kind), Timestamp: d.Change.AppliedAt.UTC(), Data: d.Change}.Encode()
	if err != nil {
		return fmt.Errorf("encoding change %s: %w", d.Change.ID, err)
	}
	secrets := make([]string, 0, len(d.Secrets))
	for _, sealed := range d.Secrets {
		secret, err := c.sealer.Open(model.PurposeCallbackSecret, sealed)
		if err != nil {
			// An old one that can't be opened any more doesn't hold up the newest.
			c.log.ErrorContext(ctx, "a callback secret can't be opened", slog.String("tenant", d.Tenant), slog.String("error", err.Error()))
			continue
		}
		secrets = append(secrets, string(secret))
	}
	return c.send(ctx, callback.Message{URL: d.URL, ID: d.Change.ID, Body: body, Secrets: secrets, SentAt: time.Now()})
}

// received strikes a change from the queue, and ends the pause if there is one.
func (c *callbacks) received(ctx context.Context, d model.Delivery) error {
	paused := c.well(d.Tenant, time.Now()) || !d.PausedSince.IsZero()
	if err := c.store.CallbackDone(ctx, d.Change.Cursor); err != nil {
		return err
	}
	c.metrics.called(callbackDelivered, 1)
	if !paused {
		return nil
	}
	resumed, err := c.store.CallbackResumed(ctx, d.Tenant)
	if err != nil {
		return err
	}
	if resumed {
		c.log.InfoContext(ctx, "a receiver of callbacks works again", slog.String("tenant", d.Tenant))
	}
	return nil
}

// refused postpones a change, and leaves the receiver alone for a while if it has failed too often or wants no more.
func (c *callbacks) refused(ctx context.Context, d model.Delivery, failure error) error {
	now := time.Now()
	reason, told := callback.ReasonServerError, time.Duration(0)
	if f, ok := errors.AsType[*callback.Error](failure); ok {
		reason, told = f.Reason, min(f.RetryAfter, longestRetryAfter)
	}
	c.metrics.called(callbackRetried, 1)
	wait := backoff(d.Attempts+1, c.cfg.CallbackRetryMin, c.cfg.CallbackRetryMax)
	alone := c.ill(d, reason == callback.ReasonGone, now)
	if alone {
		wait = c.probeIn(d, reason, now)
	}
	until := now.Add(max(wait, told))
	if err := c.store.CallbackFailed(ctx, d.Tenant, d.Change.Cursor, until, string(reason)); err != nil || !alone {
		return err
	}
	news, err := c.store.CallbackPaused(ctx, d.Tenant, string(reason), until)
	if err != nil {
		return err
	}
	if news {
		c.log.WarnContext(ctx, "a receiver of callbacks fails and is left alone", slog.String("tenant", d.Tenant),
			slog.String("reason", string(reason)), slog.Time("until", until))
	}
	return nil
}

// longestRetryAfter is the most that a receiver may put us off at once.
const longestRetryAfter = 24 * time.Hour

// probeIn is how long a receiver is left alone: the longer, the longer it has been ill, and long at once if it said that it
// wants no more.
func (c *callbacks) probeIn(d model.Delivery, reason callback.Reason, now time.Time) time.Duration {
	if reason == callback.ReasonGone {
		return backoff(1, c.cfg.CallbackRetryMax, c.cfg.CallbackRetryMax)
	}
	wait := c.cfg.CallbackPauseTime
	if !d.PausedSince.IsZero() {
		wait = max(wait, now.Sub(d.PausedSince)/4)
	}
	return jitter(min(wait, c.cfg.CallbackProbeMax))
}
