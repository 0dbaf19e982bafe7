package main

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// cast knows the names of everybody and everything in the demo, for lines that people read.
type cast struct {
	zone *time.Location
	// tenants are the organisations' names by tenant id.
	tenants map[string]string
	// people are the persons' names by tenant id and participant id.
	people map[[2]string]string

	mu sync.Mutex
	// sessions are by tenant id and session id.
	sessions map[[2]string]castSession
}

// castSession is what is to be known of a session to tell of its changes.
type castSession struct {
	organizer string
	attendee  string
	startsAt  time.Time
	endsAt    time.Time
}

// newCast knows the organisations of the demo; times are told in the zone.
func newCast(zone *time.Location) *cast {
	c := &cast{zone: zone, tenants: map[string]string{}, people: map[[2]string]string{}, sessions: map[[2]string]castSession{}}
	for _, org := range organisations() {
		c.tenants[org.tenant] = org.name
		for _, who := range org.people {
			c.people[[2]string{org.tenant, who.id}] = who.name
		}
	}
	return c
}

// remember makes a session known.
func (c *cast) remember(key [2]string, session castSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[key] = session
}

// line tells one change: when, what, who, from where to where, and how long after Outlook it was committed.
func (c *cast) line(change apiChange) string {
	c.mu.Lock()
	key := [2]string{change.Tenant, change.Session}
	session := c.sessions[key]
	if !change.After.StartsAt.IsZero() {
		moved := session
		moved.startsAt, moved.endsAt = change.After.StartsAt, change.After.EndsAt
		c.sessions[key] = moved
	}
	c.mu.Unlock()
	what, text := c.tell(change, session)
	lag := "-"
	if change.Source == "outlook" {
		lag = fmt.Sprintf("%.2f s", max(0, change.AppliedAt.Sub(change.OccurredAt).Seconds()))
	}
	return fmt.Sprintf("%s  %-11s %-9s %s  [%s, lag %s]", change.AppliedAt.In(c.zone).Format("15:04:05"), what,
		cmp.Or(c.tenants[change.Tenant], change.Tenant), text, change.Cause, lag)
}

// tell returns the word for what happened and the sentence about it.
func (c *cast) tell(change apiChange, session castSession) (what, text string) {
	organizer := cmp.Or(c.people[[2]string{change.Tenant, session.organizer}], session.organizer, "the organizer")
	who := cmp.Or(c.people[[2]string{change.Tenant, change.Participant}], change.Participant, change.Before.Email, change.After.Email, "somebody from outside")
	between := fmt.Sprintf("%s and %s", organizer, cmp.Or(c.people[[2]string{change.Tenant, session.attendee}], session.attendee, "others"))
	by := organizer
	if change.Source == "platform" {
		by = "the platform"
	}
	from, to := c.span(change.Before.StartsAt, change.Before.EndsAt), c.span(change.After.StartsAt, change.After.EndsAt)
	now := c.span(session.startsAt, session.endsAt)
	switch change.Kind {
	case "booked":
		return "booked", fmt.Sprintf("%s: %s", between, cmp.Or(to, now))
	case "rescheduled":
		return "rescheduled", fmt.Sprintf("%s moved the session of %s: %s → %s", by, between, from, to)
	case "cancelled":
		return "cancelled", fmt.Sprintf("%s cancelled the session of %s: %s → off", by, between, now)
	case "reinstated":
		return "reinstated", fmt.Sprintf("the session of %s is on again: %s", between, cmp.Or(to, now))
	case "rsvp_changed":
		before, after := cmp.Or(change.Before.RSVP.Response, "none"), cmp.Or(change.After.RSVP.Response, "none")
		return strings.Replace(after, "none", "no answer", 1), fmt.Sprintf("%s answered for %s: %s → %s", who, now, before, after)
	case "time_proposed":
		rsvp := change.After.RSVP
		return "proposed", fmt.Sprintf("%s proposed another time: %s → %s", who, now, c.span(rsvp.ProposedStart, rsvp.ProposedEnd))
	case "attendee_added":
		return "invited", fmt.Sprintf("%s was invited to the session of %s", who, between)
	case "attendee_removed":
		return "removed", fmt.Sprintf("%s is no longer invited to the session of %s", who, between)
	case "meeting_link_changed":
		return "new link", fmt.Sprintf("the session of %s has another meeting link", between)
	case "superseded":
		loser, winner := "the platform's change", "Outlook's, which is newer"
		if change.Source == "outlook" {
			loser, winner = "Outlook's change", "the platform's, which is newer"
		}
		return "superseded", fmt.Sprintf("%s of the session of %s lost to %s: %s → %s", loser, between, winner, cmp.Or(from, now), cmp.Or(to, now))
	case "change_pending":
		return "waiting", fmt.Sprintf("what %s did with the session of %s waits for the platform's answer: %s → %s", organizer, between, cmp.Or(from, now), cmp.Or(to, "off"))
	default:
		return change.Kind, "the session of " + between
	}
}

// span writes a time from–to, with the second day only where it is another.
func (c *cast) span(start, end time.Time) string {
	if start.IsZero() {
		return ""
	}
	start, end = start.In(c.zone), end.In(c.zone)
	text := start.Format("Mon 2 Jan 15:04")
	switch {
	case end.IsZero():
		return text
	case start.YearDay() == end.YearDay():
		return text + "–" + end.Format("15:04")
	default:
		return text + " – " + end.Format("Mon 2 Jan 15:04")
	}
}
