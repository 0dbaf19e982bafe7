package workers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"pairsync/internal/mail"
	"pairsync/model"
)

// letterNames is how many participants a letter names for one reason.
const letterNames = 25

// letterTime is how a letter writes a time, which is UTC.
const letterTime = "2 January 2006, 15:04 UTC"

// letterOf puts news into words. A letter names participants by the ids that the platform gave them, and holds no address.
func letterOf(m model.Mail) mail.Letter {
	l := mail.Letter{ID: "pairsync-letter-" + strconv.FormatInt(m.ID, 10), To: m.OwnerEmail}
	name := cmp.Or(m.TenantName, m.Tenant)
	switch m.Kind {
	case model.MailExpiry:
		l.Subject = fmt.Sprintf("%s: %s expires on %s", name, m.Subject, m.ExpiresAt.UTC().Format("2 January 2006"))
		l.Parts = expiryParts(m)
	case model.MailRecovered:
		l.Subject = name + ": mended: " + headline(m.Incidents)
		l.Parts = recoveredParts(m)
	case model.MailOpened:
		l.Subject = name + ": " + headline(m.Incidents)
		l.Parts = openedParts(m)
	}
	l.Parts = append(l.Parts, mail.Part{Paragraphs: []string{
		"You get this letter because you are named as the owner of the integration of " + name + " (" + m.Tenant +
			"). Each incident is told once when it begins and once when it is over.",
	}})
	return l
}

// headline says in a few words what incidents are about.
func headline(incidents []model.Incident) string {
	count := map[model.IncidentScope]int{}
	for _, i := range incidents {
		count[i.Scope]++
	}
	switch {
	case count[model.ScopeTenant] > 0:
		return "no access to Microsoft 365"
	case count[model.ScopeMailbox] > 0 && count[model.ScopeCallback] > 0:
		return "calendars can't be read, and changes can't be delivered"
	case count[model.ScopeMailbox] == 1:
		return "a calendar can't be read"
	case count[model.ScopeMailbox] > 1:
		return strconv.Itoa(count[model.ScopeMailbox]) + " calendars can't be read"
	default:
		return "changes can't be delivered to the platform"
	}
}

// openedParts say what is broken, what that means, and how it is mended, together for all that have the same reason.
func openedParts(m model.Mail) []mail.Part {
	var parts []mail.Part
	for _, alike := range grouped(m.Incidents) {
		first := alike[0]
		words := wordsFor(first.Scope, first.Reason)
		part := mail.Part{Title: title(first.Scope, len(alike)), Paragraphs: []string{
			"What happened: " + words.what, "What that means: " + meaning(first.Scope), "How to mend it: " + words.remedy,
		}}
		part.Items = named(alike)
		parts = append(parts, part)
	}
	return append(parts, mail.Part{Paragraphs: []string{
		"Pairsync keeps trying and finds out by itself when it works again. You then get one more letter.",
	}})
}

// title is that of a part about incidents of one scope.
func title(scope model.IncidentScope, n int) string {
	switch scope {
	case model.ScopeTenant:
		return "No access to the organisation's Microsoft 365"
	case model.ScopeCallback:
		return "The platform's receiver of changes"
	case model.ScopeMailbox:
	}
	if n == 1 {
		return "A calendar that can't be read"
	}
	return strconv.Itoa(n) + " calendars that can't be read"
}

// meaning is what trouble of a scope does to whoever uses the integration.
func meaning(scope model.IncidentScope) string {
	switch scope {
	case model.ScopeTenant:
		return "sessions of this organisation stand as they were last known. Nothing is cancelled, but changes made in Outlook are " +
			"not seen, and changes made on the platform do not reach Outlook until it is mended. Then everything is caught up with."
	case model.ScopeCallback:
		return "changes of sessions are not delivered at the moment. They wait, in order, for up to three days, and can also be " +
			"read from the change feed (GET /v1/changes) for as long as it is kept."
	case model.ScopeMailbox:
	}
	return "sessions organised by these participants stand as they were last known. Nothing is cancelled, but changes made in " +
		"Outlook are not seen, and changes made on the platform do not reach Outlook until it is mended. Then everything is caught up with."
}

// recoveredParts say what works again.
func recoveredParts(m model.Mail) []mail.Part {
	var parts []mail.Part
	for _, alike := range grouped(m.Incidents) {
		var text string
		switch alike[0].Scope {
		case model.ScopeTenant:
			text = "Pairsync has access to the organisation's Microsoft 365 again, and reads all upcoming sessions anew."
		case model.ScopeCallback:
			text = "The platform's receiver takes changes again. What waited is being delivered, in order."
		case model.ScopeMailbox:
			text = "These participants' calendars can be read again, and their upcoming sessions are read anew."
		}
		parts = append(parts, mail.Part{Title: "Works again", Paragraphs: []string{text}, Items: spans(alike)})
	}
	return append(parts, mail.Part{Paragraphs: []string{"There is nothing left for you to do."}})
}

// expiryParts say what expires, and what to do before.
func expiryParts(m model.Mail) []mail.Part {
	return []mail.Part{{Title: "Something expires", Paragraphs: []string{
		fmt.Sprintf("What will happen: %s with which pairsync signs in to Microsoft 365 expires on %s, in %d days or less.",
			m.Subject, m.ExpiresAt.UTC().Format(letterTime), m.Days),
		"What that means: from then on no calendar of any organisation can be read or written. Nothing is cancelled.",
		"How to prevent it: whoever operates pairsync adds a new certificate to the application in Entra (App registrations, " +
			"Certificates & secrets), puts it into the file that PAIRSYNC_CLIENT_CERTIFICATE_FILE names, and removes the old one from Entra. " +
			"If you don't operate pairsync yourself, pass this letter on.",
	}}}
}

// grouped puts incidents together that have scope and reason in common: whole organisations first, then mailboxes.
func grouped(incidents []model.Incident) [][]model.Incident {
	type key struct {
		scope  model.IncidentScope
		reason string
	}
	places := map[key]int{}
	var groups [][]model.Incident
	for _, i := range incidents {
		k := key{i.Scope, i.Reason}
		place, ok := places[k]
		if !ok {
			place = len(groups)
			places[k] = place
			groups = append(groups, nil)
		}
		groups[place] = append(groups[place], i)
	}
	order := []model.IncidentScope{model.ScopeTenant, model.ScopeMailbox, model.ScopeCallback}
	slices.SortStableFunc(groups, func(a, b []model.Incident) int {
		return cmp.Compare(slices.Index(order, a[0].Scope), slices.Index(order, b[0].Scope))
	})
	return groups
}

// named lists who is concerned, and since when.
func named(incidents []model.Incident) []string {
	return list(incidents, func(i model.Incident) string { return "since " + i.OpenedAt.UTC().Format(letterTime) })
}

// spans lists who was concerned, and from when to when.
func spans(incidents []model.Incident) []string {
	return list(incidents, func(i model.Incident) string {
		span := "from " + i.OpenedAt.UTC().Format(letterTime)
		if i.ClosedAt != nil {
			span += " to " + i.ClosedAt.UTC().Format(letterTime)
			span += " (" + i.ClosedAt.Sub(i.OpenedAt).Round(time.Second).String() + ")"
		}
		return span
	})
}

// list writes one line for each incident, up to a bound.
func list(incidents []model.Incident, when func(model.Incident) string) []string {
	lines := make([]string, 0, min(len(incidents), letterNames)+1)
	for n, i := range incidents {
		if n == letterNames {
			lines = append(lines, "and "+strconv.Itoa(len(incidents)-n)+" more")
			break
		}
		line := when(i)
		if i.Participant != "" {
			line = "participant " + i.Participant + ", " + line
		}
		lines = append(lines, line)
	}
	return lines
}
