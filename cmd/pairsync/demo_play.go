package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// scene is one thing that one person does in Outlook, on the session of the pair of that number in an organisation.
type scene struct {
	organisation int
	pair         int
	act          func(o *outlook, p pair, event string) error
}

// scenes are what people do in the demo, one after another.
func scenes() []scene {
	return []scene{
		{0, 0, func(o *outlook, _ pair, event string) error { return o.move(event, 24*time.Hour+30*time.Minute) }},
		{0, 0, func(o *outlook, p pair, event string) error { return o.sim.Accept(p.mentee.email, event) }},
		{1, 0, func(o *outlook, p pair, event string) error { return o.sim.Tentative(p.mentee.email, event) }},
		{1, 0, func(o *outlook, p pair, event string) error { return o.propose(event, p.mentee, 2*time.Hour) }},
		{0, 1, func(o *outlook, p pair, event string) error { return o.sim.Decline(p.mentee.email, event) }},
		{1, 1, func(o *outlook, _ pair, event string) error { return o.sim.Cancel(event) }},
	}
}

// play lets a few people change things in Outlook, with a pause before each.
func (p *programme) play(ctx context.Context, pause time.Duration) error {
	for _, scene := range scenes() {
		if !pausing(ctx, pause) {
			return nil
		}
		pair := organisations()[scene.organisation].pairs[scene.pair]
		session, ok := p.state.latest(pair.name())
		if !ok {
			return fmt.Errorf("no session of %s is booked", pair.name())
		}
		// What a visitor or an earlier demo did may have left nothing to do: who declined has no meeting to answer any more.
		if err := scene.act(p.outlook, pair, session.EventID); err != nil {
			p.log.InfoContext(ctx, "nothing to play", slog.String("session", session.ID), slog.Any("error", err))
		}
	}
	return nil
}

// pausing waits and tells whether there is still somebody to wait for.
func pausing(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
