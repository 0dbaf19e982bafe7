package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// scene is one thing that one person does in Outlook, or that the platform does, on the session of the pair of that number in
// an organisation.
type scene struct {
	organisation int
	pair         int
	act          func(ctx context.Context, p *programme, s staged) error
}

// staged is the session that a scene is about.
type staged struct {
	demoSession
	org  organisation
	pair pair
}

// scenes are what happens in the demo, one after another.
func scenes() []scene {
	return []scene{
		{0, 0, func(_ context.Context, p *programme, s staged) error {
			return p.outlook.sim.Accept(s.pair.mentee.email, s.EventID)
		}},
		{0, 0, moveFromPlatform},
		{0, 0, func(_ context.Context, p *programme, s staged) error {
			return p.outlook.moveTo(s.EventID, s.StartsAt, s.EndsAt)
		}},
		{0, 1, func(_ context.Context, p *programme, s staged) error {
			return p.outlook.move(s.EventID, 24*time.Hour+30*time.Minute)
		}},
		{0, 1, func(_ context.Context, p *programme, s staged) error {
			return p.outlook.sim.Decline(s.pair.mentee.email, s.EventID)
		}},
		{1, 0, func(_ context.Context, p *programme, s staged) error {
			return p.outlook.sim.Tentative(s.pair.mentee.email, s.EventID)
		}},
		{1, 0, func(_ context.Context, p *programme, s staged) error {
			return p.outlook.propose(s.EventID, s.pair.mentee, 2*time.Hour)
		}},
		{1, 1, func(_ context.Context, p *programme, s staged) error { return p.outlook.sim.Cancel(s.EventID) }},
		{0, 0, cancelFromPlatform},
	}
}

// moveFromPlatform takes another slot of those that free/busy offers, and waits until Outlook has it, and has voided the
// answers as it does when a meeting moves.
func moveFromPlatform(ctx context.Context, p *programme, s staged) error {
	slots, err := p.free(ctx, s.org, s.pair, s.EndsAt.Add(20*time.Hour))
	if err != nil {
		return err
	}
	if err := p.put(ctx, s.org, s.pair, s.demoSession, slots[0]); err != nil {
		return err
	}
	err = poll(ctx, 20*time.Second, func(ctx context.Context) (bool, error) {
		var have apiSession
		err := p.api.do(ctx, http.MethodGet, sessionPath(s.org, s.ID), nil, &have)
		return have.Outlook.State == "in_sync" && len(have.Attendees) == 1 && have.Attendees[0].RSVP.Response == "none", err
	})
	if err != nil {
		return fmt.Errorf("waiting for Outlook to void the answers: %w", err)
	}
	p.say("· Outlook has it, and asks %s for an answer again", s.pair.mentee.name)
	return nil
}

func cancelFromPlatform(ctx context.Context, p *programme, s staged) error {
	body := map[string]string{"comment": "We will find another time."}
	return p.api.do(ctx, http.MethodPost, sessionPath(s.org, s.ID)+"/cancel", body, nil)
}

// play lets people and the platform change things, with a pause before each.
func (p *programme) play(ctx context.Context, pause time.Duration) error {
	for _, scene := range scenes() {
		if !pausing(ctx, pause) {
			return nil
		}
		org := organisations()[scene.organisation]
		pair := org.pairs[scene.pair]
		session, ok := p.state.latest(pair.name())
		if !ok {
			return fmt.Errorf("no session of %s is booked", pair.name())
		}
		// What a visitor or an earlier demo did may have left nothing to do: who declined has no meeting to answer any more.
		if err := scene.act(ctx, p, staged{session, org, pair}); err != nil {
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
