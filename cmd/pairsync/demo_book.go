package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// apiSession is a session as the API tells it, as far as the demo looks at it.
type apiSession struct {
	Status    string    `json:"status"`
	StartsAt  time.Time `json:"starts_at"`
	EndsAt    time.Time `json:"ends_at"`
	JoinURL   string    `json:"join_url"`
	Attendees []struct {
		RSVP apiRSVP `json:"rsvp"`
	} `json:"attendees"`
	Outlook struct {
		EventID string `json:"event_id"`
		State   string `json:"state"`
	} `json:"outlook"`
}

// span is a time in which people are free.
type span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// book makes sure that every pair has a session that is still to come and is on. What an earlier demo booked is found again.
func (p *programme) book(ctx context.Context, now time.Time) error {
	for _, org := range organisations() {
		for i, pair := range org.pairs {
			kept, err := p.keep(ctx, org, pair, now)
			switch {
			case kept || err != nil:
			case pair.byPlatform:
				err = p.bookFree(ctx, org, pair, now)
			default:
				err = p.bookLinked(ctx, org, pair, now, i+1)
			}
			if err != nil {
				return err
			}
		}
	}
	return p.state.save()
}

func sessionPath(org organisation, id string) string {
	return tenantPath(org) + "/sessions/" + url.PathEscape(id)
}

// keep finds a pair's latest session again, if it is on and still to come. One that the platform wanted and that pairsync
// never heard of, because the demo was killed in between, is asked for again under the same id.
func (p *programme) keep(ctx context.Context, org organisation, pair pair, now time.Time) (bool, error) {
	last, ok := p.state.latest(pair.name())
	if !ok {
		return false, nil
	}
	var have apiSession
	err := p.api.do(ctx, http.MethodGet, sessionPath(org, last.ID), nil, &have)
	if failure, missing := errors.AsType[*apiError](err); missing && failure.status == http.StatusNotFound {
		if !last.StartsAt.After(now) || !pair.byPlatform && !p.outlook.has(last.EventID) {
			return false, nil
		}
		p.remember(last, last.StartsAt, last.EndsAt)
		return true, p.put(ctx, org, pair, last, span{last.StartsAt, last.EndsAt})
	}
	if err != nil {
		return false, fmt.Errorf("looking for a session: %w", err)
	}
	p.remember(last, have.StartsAt, have.EndsAt)
	if have.Status != "scheduled" || !have.StartsAt.After(now) {
		return false, nil
	}
	if pair.byPlatform {
		if err := p.booked(ctx, org, last); err != nil {
			return false, err
		}
		last, _ = p.state.latest(pair.name())
	}
	return p.outlook.has(last.EventID), nil
}

// bookFree books in the first slot in which both are free, as a platform does that talks to nothing but pairsync.
func (p *programme) bookFree(ctx context.Context, org organisation, pair pair, now time.Time) error {
	slots, err := p.free(ctx, org, pair, now.Add(24*time.Hour))
	if err != nil {
		return err
	}
	p.say("· free/busy offers %d slots in which %s and %s can meet; the first one is %s", len(slots), pair.mentor.name,
		pair.mentee.name, p.cast.span(slots[0].Start, slots[0].End))
	booked, err := p.begin(ctx, org, pair, "", slots[0])
	if err != nil {
		return err
	}
	return p.booked(ctx, org, booked)
}

// free asks pairsync when both can meet, and gets a slot at least.
func (p *programme) free(ctx context.Context, org organisation, pair pair, from time.Time) ([]span, error) {
	query := url.Values{
		"participants": {pair.mentor.id + "," + pair.mentee.id}, "minutes": {"30"},
		"from": {from.UTC().Format(time.RFC3339)}, "to": {from.AddDate(0, 0, 14).UTC().Format(time.RFC3339)},
	}
	var answer struct {
		Slots []span `json:"slots"`
	}
	if err := p.api.do(ctx, http.MethodGet, tenantPath(org)+"/free-busy?"+query.Encode(), nil, &answer); err != nil {
		return nil, fmt.Errorf("asking when %s and %s are free: %w", pair.mentor.name, pair.mentee.name, err)
	}
	if len(answer.Slots) == 0 {
		return nil, fmt.Errorf("%s and %s have no time in common", pair.mentor.name, pair.mentee.name)
	}
	return answer.Slots, nil
}

// booked waits until a session of the platform's is in Outlook, and notes under which id.
func (p *programme) booked(ctx context.Context, org organisation, s demoSession) error {
	var have apiSession
	err := poll(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		err := p.api.do(ctx, http.MethodGet, sessionPath(org, s.ID), nil, &have)
		return have.Outlook.EventID != "" && have.JoinURL != "", err
	})
	if err != nil {
		return fmt.Errorf("waiting for the session %s to be in Outlook: %w", s.ID, err)
	}
	p.say("· the session %s is in Outlook, with the Teams link %s", s.ID, have.JoinURL)
	for i := range p.state.Sessions {
		if p.state.Sessions[i].Tenant == s.Tenant && p.state.Sessions[i].ID == s.ID {
			p.state.Sessions[i].EventID = have.Outlook.EventID
		}
	}
	return nil
}

// bookLinked books in Outlook, so many days from now, and tells pairsync which event the session is.
func (p *programme) bookLinked(ctx context.Context, org organisation, pair pair, now time.Time, days int) error {
	start, end, err := org.slot(now, days)
	if err != nil {
		return err
	}
	// A demo that was killed may have booked and not noted it.
	eventID, at, err := p.outlook.unnoted(pair, now, p.state)
	if err == nil && eventID == "" {
		at = span{start, end}
		eventID, err = p.outlook.book(pair, start, end)
	}
	if err != nil {
		return fmt.Errorf("booking in Outlook: %w", err)
	}
	_, err = p.begin(ctx, org, pair, eventID, at)
	return err
}

// begin makes a session and tells pairsync of it. It is remembered first, so that whoever is killed in between asks for the
// same again.
func (p *programme) begin(ctx context.Context, org organisation, pair pair, eventID string, at span) (demoSession, error) {
	id, err := p.freeID(ctx, org, pair)
	if err != nil {
		return demoSession{}, err
	}
	s := demoSession{
		Tenant: org.tenant, ID: id, Pair: pair.name(), Organizer: pair.mentor.id, Attendee: pair.mentee.id,
		EventID: eventID, StartsAt: at.Start, EndsAt: at.End,
	}
	p.state.Sessions = append(p.state.Sessions, s)
	p.remember(s, at.Start, at.End)
	if err := p.state.save(); err != nil {
		return s, err
	}
	return s, p.put(ctx, org, pair, s, at)
}

// put tells pairsync what the platform wants of a session.
func (p *programme) put(ctx context.Context, org organisation, pair pair, s demoSession, at span) error {
	body := map[string]any{
		"organizer": pair.mentor.id, "attendees": []string{pair.mentee.id}, "starts_at": at.Start, "ends_at": at.End,
		"time_zone": org.zone, "title": pair.title(),
	}
	if pair.byPlatform {
		body["online_meeting"] = "teams"
	} else {
		body["outlook"] = map[string]string{"event_id": s.EventID}
	}
	if err := p.api.do(ctx, http.MethodPut, sessionPath(org, s.ID), body, nil); err != nil {
		return fmt.Errorf("telling pairsync of a session: %w", err)
	}
	return nil
}

// freeID returns a session id that pairsync does not know yet. The database may be older than the demo's own memory.
func (p *programme) freeID(ctx context.Context, org organisation, pair pair) (string, error) {
	for n := p.state.count(pair.name()) + 1; ; n++ {
		id := fmt.Sprintf("%s-%d", pair.name(), n)
		err := p.api.do(ctx, http.MethodGet, sessionPath(org, id), nil, nil)
		if failure, ok := errors.AsType[*apiError](err); ok && failure.status == http.StatusNotFound {
			return id, nil
		}
		if err != nil {
			return "", fmt.Errorf("looking for a session id: %w", err)
		}
	}
}

func (p *programme) remember(s demoSession, start, end time.Time) {
	p.cast.remember([2]string{s.Tenant, s.ID}, castSession{s.Organizer, s.Attendee, start, end})
}
