package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The fates of a notification.
const (
	fateWaiting   = "waiting"
	fateRetrying  = "retrying"
	fateDelivered = "delivered"
	fateDropped   = "dropped"
	fateGaveUp    = "gave_up"
)

// retryFor is how long Graph keeps trying. https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
const retryFor = 4 * time.Hour

// delivery is one notification on its way. The courier's lock guards it.
type delivery struct {
	Subscription string          `json:"subscription"`
	Mailbox      string          `json:"mailbox"`
	Event        string          `json:"event,omitempty"`
	Change       string          `json:"change"`
	URL          string          `json:"url"`
	Body         json.RawMessage `json:"body"`
	Made         time.Time       `json:"made"`
	Attempts     int             `json:"attempts"`
	Status       int             `json:"status"`
	Fate         string          `json:"fate"`
	Done         time.Time       `json:"done"`
}

// courier delivers notifications. Its lock may be taken while the world's is held, never the other way round.
type courier struct {
	s         *Simulator
	mu        sync.Mutex
	wake      chan struct{}
	delayed   schedule[*delivery]
	watches   schedule[string]
	endpoints map[string]*endpoint
	live      map[*delivery]struct{}
	recent    []*delivery
	idle      []chan struct{}
}

// endpoint is what waits for one URL.
type endpoint struct {
	url            string
	fresh, retries []*delivery
	inflight       int
	health         health
}

func newCourier(s *Simulator) *courier {
	return &courier{
		s: s, wake: make(chan struct{}, 1), endpoints: map[string]*endpoint{}, live: map[*delivery]struct{}{},
	}
}

func errorAttr(err error) slog.Attr { return slog.String("error", err.Error()) }

// nudge makes the loop look again. The caller holds the courier's lock.
func (c *courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// enqueue takes a new notification, which a drop loses at once.
func (c *courier) enqueue(d *delivery, delay time.Duration, drop bool) {
	c.s.counts.notifications.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	d.Made, d.Fate = time.Now(), fateWaiting
	c.remember(d)
	held, lost := c.endpoint(d.URL).health.verdict(d.Made)
	if drop || lost {
		c.s.counts.dropped.Add(1)
		d.Fate, d.Done = fateDropped, d.Made
		return
	}
	c.live[d] = struct{}{}
	c.s.counts.pending.Store(int64(len(c.live)))
	if delay += held; delay > 0 {
		c.delayed.push(d.Made.Add(delay), d)
	} else {
		e := c.endpoint(d.URL)
		e.fresh = append(e.fresh, d)
	}
	c.nudge()
}

func (c *courier) endpoint(url string) *endpoint {
	e := c.endpoints[url]
	if e == nil {
		e = &endpoint{url: url}
		c.endpoints[url] = e
	}
	return e
}

// maxRecent is how many notifications the page and Deliveries can look back on.
const maxRecent = 1000

func (c *courier) remember(d *delivery) {
	if len(c.recent) >= 2*maxRecent {
		c.recent = slices.Delete(c.recent, 0, maxRecent)
	}
	c.recent = append(c.recent, d)
}

// run delivers until ctx ends; what is in flight then is cut off and stays undelivered.
func (c *courier) run(ctx context.Context) {
	var posts sync.WaitGroup
	defer posts.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		ready, due, next := c.take(time.Now())
		for _, p := range ready {
			posts.Go(func() { c.post(ctx, p) })
		}
		for _, w := range due {
			c.look(w.what, w.at)
		}
		if len(due) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// parcel is one POST.
type parcel struct {
	to    *endpoint
	items []*delivery
	retry bool
}

// take collects what can be sent now, the subscriptions that are due, and how long to wait for the next of either.
func (c *courier) take(now time.Time) (ready []parcel, due []entry[string], next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d, ok := c.delayed.pop(now); ok; d, ok = c.delayed.pop(now) {
		e := c.endpoint(d.what.URL)
		if d.what.Attempts > 0 {
			e.retries = append(e.retries, d.what)
		} else {
			e.fresh = append(e.fresh, d.what)
		}
	}
	for w, ok := c.watches.pop(now); ok; w, ok = c.watches.pop(now) {
		due = append(due, w)
	}
	reorder := c.s.faults.behaviour.Load().ReorderNotifications
	for _, e := range c.endpoints {
		if reorder {
			c.s.faults.shuffle(len(e.fresh), func(i, j int) { e.fresh[i], e.fresh[j] = e.fresh[j], e.fresh[i] })
		}
		for e.inflight < c.s.cfg.EndpointConcurrency && len(e.fresh)+len(e.retries) > 0 {
			p := parcel{to: e, retry: len(e.fresh) == 0}
			from := &e.fresh
			if p.retry {
				from = &e.retries
			}
			n := min(len(*from), c.s.cfg.BatchItems)
			p.items = slices.Clone((*from)[:n])
			*from = slices.Delete(*from, 0, n)
			e.inflight++
			ready = append(ready, p)
		}
	}
	next = time.Hour
	for _, at := range []time.Time{c.delayed.next(), c.watches.next()} {
		if !at.IsZero() {
			next = min(next, max(at.Sub(now), 0))
		}
	}
	return ready, due, next
}

// post sends one parcel and settles its items by the answer.
func (c *courier) post(ctx context.Context, p parcel) {
	limit := c.s.cfg.AckTimeout
	if p.retry {
		limit = c.s.cfg.RetryAckTimeout
		c.s.counts.retries.Add(1)
	}
	c.s.counts.posts.Add(1)
	began := time.Now()
	status, err := c.send(ctx, p, limit)
	if ctx.Err() != nil && err != nil {
		c.giveBack(p)
		return
	}
	c.settle(p, status, err, time.Since(began))
}

func (c *courier) send(ctx context.Context, p parcel, limit time.Duration) (int, error) {
	var body bytes.Buffer
	body.WriteString(`{"value":[`)
	for i, d := range p.items {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(d.Body)
	}
	body.WriteString(`]}`)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to.url, &body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := c.s.cfg.Transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, nil
}

// giveBack returns a parcel that was cut off by the end of Run.
func (c *courier) giveBack(p parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.to.inflight--
	p.to.fresh = append(p.items, p.to.fresh...)
}

func (c *courier) settle(p parcel, status int, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	p.to.inflight--
	if c.s.cfg.EndpointStates {
		p.to.health.record(now, took, errors.Is(err, context.DeadlineExceeded) && p.retry, c.s.cfg)
	}
	ok := err == nil && status >= 200 && status < 300
	for _, d := range p.items {
		d.Attempts++
		d.Status = status
		switch {
		case ok:
			d.Fate, d.Done = fateDelivered, now
			c.s.counts.delivered.Add(1)
			delete(c.live, d)
		case now.Sub(d.Made) >= c.s.cfg.scaled(retryFor):
			d.Fate, d.Done = fateGaveUp, now
			c.s.counts.gaveUp.Add(1)
			delete(c.live, d)
		default:
			d.Fate = fateRetrying
			c.delayed.push(now.Add(c.backoff(d.Attempts)), d)
		}
	}
	c.s.counts.pending.Store(int64(len(c.live)))
	if len(c.live) == 0 {
		for _, ch := range c.idle {
			close(ch)
		}
		c.idle = nil
		c.s.saver.dirty()
	}
	c.nudge()
	c.s.feed.publish()
}

// backoff is the pause after a number of failures: ten seconds, doubled up to half an hour, in Graph's own time, and up to
// a tenth more so that the repeats of one outage don't all come at once.
func (c *courier) backoff(attempts int) time.Duration {
	pause := c.s.cfg.scaled(time.Duration(math.Min(float64(10*time.Second)*math.Pow(2, float64(attempts-1)), float64(30*time.Minute))))
	return pause + time.Duration(c.s.faults.upTo(int64(pause/10)))
}

// Settled blocks until every notification made so far is delivered, dropped or given up, or ctx ends.
func (s *Simulator) Settled(ctx context.Context) error {
	c := s.courier
	c.mu.Lock()
	if len(c.live) == 0 {
		c.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	c.idle = append(c.idle, done)
	c.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
