package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"pairsync/internal/simulator"
)

// outlook is what the people of the demo do in the simulated Outlook.
type outlook struct{ sim *simulator.Simulator }

// demoApp is the application as it is registered in the simulator, with the least permissions that work.
func demoApp(secret string) simulator.App {
	return simulator.App{
		ClientID: demoClientID, Name: "pairsync", Secret: secret,
		Permissions: []string{"Calendars.ReadWrite", "MailboxSettings.Read", "User.ReadBasic.All"},
	}
}

// populate makes the organisations and their people, or finds them again. With asking, those whose admins have to be asked
// begin without a consent.
func (o *outlook) populate(asking bool) error {
	consents := map[string]simulator.Consent{}
	for _, known := range o.sim.Tenants() {
		consents[known.ID] = known.Consent
	}
	for _, org := range organisations() {
		consent, known := consents[org.tenant]
		if !known && asking && org.unconsented {
			consent = simulator.ConsentMissing
		}
		if _, err := o.sim.AddTenant(simulator.Tenant{ID: org.tenant, Name: org.name, Domain: org.domain, Consent: consent}); err != nil {
			return fmt.Errorf("making an organisation in the simulator: %w", err)
		}
		for _, who := range org.people {
			// The object id follows from the address, so that it is the same in every simulator.
			id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("mailto:"+who.email)).String()
			if _, err := o.sim.AddUser(simulator.User{ID: id, Tenant: org.tenant, Name: who.name, Email: who.email, TimeZone: org.zone}); err != nil {
				return fmt.Errorf("making a person in the simulator: %w", err)
			}
		}
	}
	return nil
}

// book makes an event in the mentor's calendar and returns the immutable id of their copy.
func (o *outlook) book(p pair, start, end time.Time) (string, error) {
	booked, err := o.sim.Book(simulator.Meeting{
		Organizer: p.mentor.email, Attendees: []string{p.mentee.email}, Subject: p.title(), Start: start, End: end, Online: true,
	})
	return booked.ID, err
}

// unnoted finds an event of the pair's that is still to come and that none of the demo's sessions is; empty when there is none.
func (o *outlook) unnoted(p pair, now time.Time, state *demoState) (id string, at span, err error) {
	events, err := o.sim.Calendar(p.mentor.email, now, now.AddDate(1, 0, 0))
	if err != nil {
		return "", span{}, err
	}
	for _, e := range events {
		noted := slices.ContainsFunc(state.Sessions, func(s demoSession) bool { return s.EventID == e.ID })
		if e.Subject == p.title() && e.Start.After(now) && !e.Cancelled && !e.Deleted && !noted {
			return e.ID, span{e.Start, e.End}, nil
		}
	}
	return "", span{}, nil
}

// asksConsent tells whether an organisation's admin has not consented.
func (o *outlook) asksConsent(org organisation) bool {
	for _, t := range o.sim.Tenants() {
		if t.ID == org.tenant {
			return t.Consent != simulator.ConsentGranted
		}
	}
	return true
}

// has tells whether the event is still there, called off or not.
func (o *outlook) has(event string) bool {
	_, err := o.sim.Event(event)
	return err == nil
}

// move puts the event off by so much.
func (o *outlook) move(event string, by time.Duration) error {
	now, err := o.sim.Event(event)
	if err != nil {
		return err
	}
	return o.sim.Move(event, now.Start.Add(by), now.End.Add(by))
}

// moveTo brings the event to where it may have been before.
func (o *outlook) moveTo(event string, start, end time.Time) error {
	return o.sim.Move(event, start, end)
}

// propose answers maybe, and proposes a time that is later by so much.
func (o *outlook) propose(event string, who person, later time.Duration) error {
	now, err := o.sim.Event(event)
	if err != nil {
		return err
	}
	return o.sim.Propose(who.email, event, now.Start.Add(later), now.End.Add(later))
}

// moved forgets the subscriptions that lead to another door than this one, as they do when an earlier demo had other ports,
// and returns them.
func (o *outlook) moved(door string) []simulator.SubscriptionView {
	var gone []simulator.SubscriptionView
	for _, sub := range o.sim.Subscriptions() {
		if strings.HasPrefix(sub.NotificationURL, door+"/") {
			continue
		}
		// Only one that has ended meanwhile can't be removed, and that is as good.
		_ = o.sim.RemoveSubscription(sub.ID, false)
		gone = append(gone, sub)
	}
	return gone
}
