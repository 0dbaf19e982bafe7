package simulator

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// eventField is one property of an event and how it is read.
type eventField struct {
	name string
	// asked means that it is only answered when $select names it.
	asked bool
	read  func(c *call, it *item, st *state) any
}

// eventFields are the properties that are served, in the order in which Graph writes them.
// https://learn.microsoft.com/graph/api/resources/event
func eventFields() []eventField {
	return slices.Concat(identityFields(), contentFields(), peopleFields(), seriesFields())
}

func identityFields() []eventField {
	return []eventField{
		{"createdDateTime", false, func(_ *call, it *item, _ *state) any { return it.created.Format(graphTime) }},
		{"lastModifiedDateTime", false, func(_ *call, it *item, st *state) any { return it.modified(st).Format(graphTime) }},
		{"changeKey", false, func(_ *call, it *item, st *state) any { return it.key(st) }},
		{"categories", false, func(_ *call, _ *item, st *state) any { return append([]string{}, st.Categories...) }},
		{"transactionId", false, func(_ *call, it *item, _ *state) any { return orNull(it.transaction) }},
		{"originalStartTimeZone", false, func(_ *call, _ *item, st *state) any { return st.StartZone }},
		{"originalEndTimeZone", false, func(_ *call, _ *item, st *state) any { return st.EndZone }},
		{"iCalUId", false, func(_ *call, it *item, _ *state) any { return it.uid }},
	}
}

func contentFields() []eventField {
	return []eventField{
		{"reminderMinutesBeforeStart", false, func(_ *call, _ *item, st *state) any { return st.ReminderMinutes }},
		{"isReminderOn", false, func(_ *call, _ *item, st *state) any { return st.ReminderOn }},
		{"hasAttachments", false, func(_ *call, _ *item, _ *state) any { return false }},
		{"hideAttendees", false, func(_ *call, _ *item, st *state) any { return st.HideAttendees }},
		{"subject", false, func(_ *call, _ *item, st *state) any { return st.Subject }},
		{"bodyPreview", false, func(_ *call, _ *item, st *state) any { return preview(st) }},
		{"importance", false, func(_ *call, _ *item, st *state) any { return st.Importance }},
		{"sensitivity", false, func(_ *call, _ *item, st *state) any { return st.Sensitivity }},
		{"isAllDay", false, func(_ *call, _ *item, st *state) any { return st.AllDay }},
		{"isCancelled", false, func(_ *call, _ *item, st *state) any { return st.Cancelled }},
		{"isDraft", false, func(_ *call, _ *item, _ *state) any { return false }},
		{"isOrganizer", false, func(_ *call, it *item, _ *state) any { return it.organizer }},
		{"responseRequested", false, func(_ *call, _ *item, st *state) any { return st.ResponseRequested }},
		{"showAs", false, func(_ *call, _ *item, st *state) any { return st.ShowAs }},
		{"type", false, func(_ *call, it *item, _ *state) any { return it.kind }},
		{"webLink", false, func(c *call, it *item, _ *state) any {
			return "https://outlook.office365.com/owa/?itemid=" + url.QueryEscape(it.idFor(c.immutable)) + "&exvsurl=1&path=/calendar/item"
		}},
		{"onlineMeetingUrl", false, func(_ *call, _ *item, _ *state) any { return nil }},
		{"isOnlineMeeting", false, func(_ *call, _ *item, st *state) any { return st.Online }},
		{"onlineMeetingProvider", false, func(_ *call, _ *item, st *state) any { return st.Provider }},
		{"onlineMeeting", false, func(_ *call, _ *item, st *state) any { return onlineMeeting(st) }},
		{"allowNewTimeProposals", false, func(_ *call, _ *item, st *state) any { return st.AllowProposals }},
		{"body", false, func(_ *call, _ *item, st *state) any {
			return object{{"contentType", st.BodyType}, {"content", st.Body}}
		}},
		{"start", false, func(c *call, _ *item, st *state) any { return in(st.Start, c.zone) }},
		{"end", false, func(c *call, _ *item, st *state) any { return in(st.End, c.zone) }},
		{"location", false, func(_ *call, _ *item, st *state) any { return location(st) }},
		{"locations", false, func(_ *call, _ *item, st *state) any {
			if st.Location == "" {
				return []any{}
			}
			return []any{location(st)}
		}},
	}
}

func peopleFields() []eventField {
	return []eventField{
		{"responseStatus", false, func(_ *call, _ *item, st *state) any { return responseStatus(st.Response, st.RespondedAt) }},
		{"attendees", false, func(c *call, _ *item, st *state) any { return attendees(c, st) }},
		{"organizer", false, func(_ *call, _ *item, st *state) any { return object{{"emailAddress", st.Organizer}} }},
	}
}

func seriesFields() []eventField {
	return []eventField{
		{"seriesMasterId", false, func(c *call, it *item, _ *state) any {
			if it.master == nil {
				return nil
			}
			return it.master.idFor(c.immutable)
		}},
		{"occurrenceId", false, func(c *call, it *item, _ *state) any { return orNull(it.occurrenceID(c.immutable)) }},
		{"originalStart", false, func(_ *call, it *item, _ *state) any {
			if it.master == nil {
				return nil
			}
			return it.originalStart.Format(graphTime)
		}},
		{"recurrence", false, func(_ *call, _ *item, st *state) any {
			if st.Recurrence == nil {
				return nil
			}
			return st.Recurrence
		}},
		{"cancelledOccurrences", true, func(c *call, it *item, _ *state) any {
			if it.kind != kindMaster {
				return nil
			}
			ids := []string{}
			for _, o := range it.instances {
				if o.deleted {
					ids = append(ids, o.occurrenceID(c.immutable))
				}
			}
			return ids
		}},
	}
}

// occurrenceID is the stable name of an instance of a series; empty for everything else.
func (it *item) occurrenceID(immutable bool) string {
	if it.master == nil {
		return ""
	}
	return "OID." + it.master.idFor(immutable) + "." + it.day
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func preview(st *state) string {
	text := st.Body
	for {
		i := strings.IndexByte(text, '<')
		j := strings.IndexByte(text, '>')
		if i < 0 || j < i {
			break
		}
		text = text[:i] + text[j+1:]
	}
	r := []rune(strings.TrimSpace(text))
	return string(r[:min(len(r), 255)])
}

func onlineMeeting(st *state) any {
	if st.JoinURL == "" {
		return nil
	}
	return object{{"joinUrl", st.JoinURL}, {"conferenceId", st.Conference}, {"tollNumber", "+1 323-555-0166"}}
}

func location(st *state) any {
	return object{
		{"displayName", st.Location}, {"locationType", "default"}, {"uniqueId", st.Location}, {"uniqueIdType", "private"},
	}
}

func responseStatus(response string, at time.Time) any {
	when := at.UTC().Format(graphTime)
	if at.IsZero() || at.Year() >= 4501 {
		when = at.UTC().Format(time.RFC3339)
	}
	return object{{"response", response}, {"time", when}}
}

func attendees(c *call, st *state) []object {
	list := make([]object, 0, len(st.Attendees))
	for _, a := range st.Attendees {
		o := object{{"type", a.Type}, {"status", responseStatus(a.Response, a.Time)}}
		if a.Proposed != nil {
			o = append(o, member{"proposedNewTime", object{{"start", in(a.Proposed.Start, c.zone)}, {"end", in(a.Proposed.End, c.zone)}}})
		}
		list = append(list, append(o, member{"emailAddress", a.Address}))
	}
	return list
}

// selection is what of an event a caller wants to see.
type selection struct {
	fields []eventField
	// exceptions adds a master's exceptions ($expand=exceptionOccurrences).
	exceptions bool
}

// selected reads $select and $expand.
func (c *call) selected(q url.Values) (selection, error) {
	var s selection
	for name := range strings.SplitSeq(q.Get("$expand"), ",") {
		switch name, _, _ = strings.Cut(strings.TrimSpace(name), "("); name {
		case "":
		case "exceptionOccurrences":
			s.exceptions = true
		default:
			return s, noProperty(name, "microsoft.graph.event")
		}
	}
	sel := q.Get("$select")
	if sel == "" || sel == "*" {
		for _, f := range c.s.fields {
			if !f.asked {
				s.fields = append(s.fields, f)
			}
		}
		return s, nil
	}
	wanted := strings.Split(sel, ",")
	for i := range wanted {
		wanted[i] = strings.TrimSpace(wanted[i])
	}
	for _, f := range c.s.fields {
		n := len(wanted)
		wanted = slices.DeleteFunc(wanted, func(w string) bool { return strings.EqualFold(w, f.name) })
		if len(wanted) < n {
			s.fields = append(s.fields, f)
		}
	}
	for _, name := range wanted {
		if !strings.EqualFold(name, "id") && !strings.EqualFold(name, "exceptionOccurrences") {
			return s, noProperty(name, "microsoft.graph.event")
		}
	}
	return s, nil
}

// event writes an item as it can be read now, which under stale reads is as it was before its last change.
func (c *call) event(it *item, sel selection) object {
	it.reads.Add(1)
	return c.view(it, c.s.readable(it), sel)
}

func (c *call) view(it *item, st *state, sel selection) object {
	o := make(object, 0, len(sel.fields)+3)
	o = append(o, member{"@odata.etag", `W/"` + it.key(st) + `"`}, member{"id", it.idFor(c.immutable)})
	for _, f := range sel.fields {
		switch v := f.read(c, it, st); {
		case v == nil && (f.asked || f.name == "transactionId" || f.name == "originalStart"):
			// Graph leaves these out where they don't apply.
		default:
			o = append(o, member{f.name, v})
		}
	}
	if sel.exceptions && it.kind == kindMaster {
		plain := selection{fields: sel.fields}
		list := []object{}
		for _, e := range it.instances {
			if e.kind == kindException && !e.deleted {
				e.reads.Add(1)
				list = append(list, c.view(e, &e.state, plain))
			}
		}
		o = append(o, member{"exceptionOccurrences", list})
	}
	return o
}

// readable is the state that a GET shows: the former one while Behaviour.StaleReads lasts.
func (s *Simulator) readable(it *item) *state {
	stale := s.faults.behaviour.Load().StaleReads.Duration
	if stale > 0 && it.before != nil && time.Since(it.state.Modified) < stale {
		return it.before
	}
	return &it.state
}

// visible says whether an item can be read now.
func (s *Simulator) visible(it *item, immutableID bool) bool {
	b := s.faults.behaviour.Load()
	if it.deleted {
		if b.StaleReads.Duration > 0 && time.Since(it.deletedAt) < b.StaleReads.Duration {
			return true
		}
		return b.KeepCancelled && it.state.Cancelled && it.organizer && immutableID
	}
	return b.LateReadable.Duration <= 0 || time.Since(it.created) >= b.LateReadable.Duration
}
