package simulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// find is the event that the path names, if it can be read now. The caller holds the world's lock.
func (c *call) find() (*item, error) {
	id := c.r.PathValue("event")
	it := c.box.byID[id]
	if it == nil {
		c.s.counts.missed(id)
		return nil, itemNotFound()
	}
	if !c.s.visible(it, id == it.id) {
		it.reads.Add(1)
		return nil, itemNotFound()
	}
	return it, nil
}

// findLive is find for writing, to which Deleted Items is out of reach.
func (c *call) findLive() (*item, error) {
	it, err := c.find()
	if err == nil && it.deleted {
		return nil, itemNotFound()
	}
	return it, err
}

func (c *call) eventsContext() string {
	fragment := "users('" + url.PathEscape(c.box.id) + "')/events"
	if sel := c.r.URL.Query().Get("$select"); sel != "" {
		fragment += "(" + sel + ")"
	}
	return c.contextURL(fragment)
}

func (c *call) one(it *item, sel selection) object {
	return append(object{{"@odata.context", c.eventsContext() + "/$entity"}}, c.event(it, sel)...)
}

func getEvent(c *call) (int, any, error) {
	sel, err := c.selected(c.r.URL.Query())
	if err != nil {
		return 0, nil, err
	}
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	it, err := c.find()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.one(it, sel), nil
}

// page writes items as a collection, ten a page unless the caller asks for more.
func (c *call) page(items []*item) (int, any, error) {
	q := c.r.URL.Query()
	sel, err := c.selected(q)
	if err != nil {
		return 0, nil, err
	}
	top, skip, err := paging(q, c.pageSize, 10)
	if err != nil {
		return 0, nil, err
	}
	values := []object{}
	for _, it := range items[min(skip, len(items)):min(skip+top, len(items))] {
		values = append(values, c.event(it, sel))
	}
	body := object{{"@odata.context", c.eventsContext()}}
	if q.Get("$count") == "true" {
		body = append(body, member{"@odata.count", len(items)})
	}
	if skip+top < len(items) {
		body = append(body, member{"@odata.nextLink", c.nextLink(skip + top)})
	}
	return http.StatusOK, append(body, member{"value", values}), nil
}

// listEvents answers masters and single events; of $filter it knows iCalUId eq '…'.
func listEvents(c *call) (int, any, error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	var items []*item
	if filter := c.r.URL.Query().Get("$filter"); filter != "" {
		field, value, err := equality(filter)
		if err != nil || !strings.EqualFold(field, "iCalUId") {
			return 0, nil, refuse(http.StatusBadRequest, "ErrorInvalidUrlQueryFilter",
				"The query filter contains one or more invalid nodes.")
		}
		for _, it := range c.box.byUID[value] {
			if !it.deleted && it.master == nil && c.s.visible(it, true) {
				items = append(items, it)
			}
		}
		return c.page(items)
	}
	for it := range c.box.live {
		if c.s.visible(it, true) {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b *item) int {
		return cmp.Or(b.created.Compare(a.created), strings.Compare(a.id, b.id))
	})
	return c.page(items)
}

// window reads startDateTime and endDateTime, which are UTC unless they carry an offset.
func (c *call) window() (from, to time.Time, err error) {
	q := c.r.URL.Query()
	for _, p := range []struct {
		name string
		t    *time.Time
	}{{"startDateTime", &from}, {"endDateTime", &to}} {
		v := q.Get(p.name)
		if v == "" {
			return from, to, refuse(http.StatusBadRequest, "ErrorInvalidRequest",
				"This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.")
		}
		// A plus sign that nobody escaped has become a space.
		t, _, err := wallTime{DateTime: strings.ReplaceAll(v, " ", "+")}.instant()
		if err != nil {
			return from, to, refuse(http.StatusBadRequest, "ErrorInvalidParameter", "The value of '"+p.name+"' is not a date and time.")
		}
		*p.t = t
	}
	return from, to, nil
}

func overlaps(it *item, from, to time.Time) bool {
	return !it.deleted && it.state.Start.Before(to) && it.state.End.After(from)
}

// listInstances answers the instances of a series that touch a window.
func listInstances(c *call) (int, any, error) {
	from, to, err := c.window()
	if err != nil {
		return 0, nil, err
	}
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	master, err := c.find()
	if err != nil {
		return 0, nil, err
	}
	if master.kind != kindMaster {
		return 0, nil, refuse(http.StatusBadRequest, "ErrorInvalidRequest", "The event is not a series master.")
	}
	master.reads.Add(1)
	var items []*item
	for _, o := range master.instances {
		if overlaps(o, from, to) {
			items = append(items, o)
		}
	}
	return c.page(items)
}

// listCalendarView answers what a calendar shows in a window: single events and instances, no masters.
func listCalendarView(c *call) (int, any, error) {
	from, to, err := c.window()
	if err != nil {
		return 0, nil, err
	}
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	return c.page(c.box.between(from, to))
}

// between lists what the calendar shows in a window, in order of time.
func (box *mailbox) between(from, to time.Time) []*item {
	var items []*item
	for it := range box.live {
		if it.kind == kindMaster {
			for _, o := range it.instances {
				if overlaps(o, from, to) {
					items = append(items, o)
				}
			}
		} else if overlaps(it, from, to) {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b *item) int {
		return cmp.Or(a.state.Start.Compare(b.state.Start), strings.Compare(a.id, b.id))
	})
	return items
}

func createEvent(c *call) (int, any, error) {
	b, err := c.eventBody()
	if err != nil {
		return 0, nil, err
	}
	sel, err := c.selected(nil)
	if err != nil {
		return 0, nil, err
	}
	st := blank()
	st.Start, st.End, st.StartZone, st.EndZone, err = b.times(&st)
	if err != nil {
		return 0, nil, err
	}
	if err := b.recur(&st); err != nil {
		return 0, nil, err
	}
	t := c.s.begin()
	defer t.end()
	transaction := ""
	set(&transaction, b.TransactionID)
	located := func(it *item) {
		c.header.Set("Location", c.s.base(c.r)+"/v1.0/users/"+url.PathEscape(c.box.id)+"/events/"+url.PathEscape(it.idFor(c.immutable)))
	}
	if have := c.box.transactions[transaction]; transaction != "" && have != nil && !c.s.Behaviour().IgnoreTransactions {
		// The same transaction again is the same event.
		located(have)
		return http.StatusCreated, c.one(have, sel), nil
	}
	b.apply(&st, c.box)
	if b.Attendees != nil {
		st.Attendees = b.attendeeList(c.s.world)
	}
	it := t.book(c.box, st, transaction)
	t.stamp()
	located(it)
	return http.StatusCreated, append(object{{"@odata.context", c.eventsContext() + "/$entity"}}, c.view(it, &it.state, sel)...), nil
}

// recur puts the recurrence of a body into a state.
func (b *eventBody) recur(st *state) error {
	if b.Recurrence == nil {
		return nil
	}
	r := b.Recurrence.recurrence
	z, err := parseZone(st.StartZone)
	if err == nil {
		err = r.normal(st.Start, z)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "ErrorInvalidRequest", "The recurrence is not valid: "+err.Error()+".")
	}
	st.Recurrence = &r
	return nil
}

// matches holds the item against the call's If-Match.
func (c *call) matches(it *item) error {
	want := c.r.Header.Get("If-Match")
	if want == "" || want == "*" || strings.Trim(strings.TrimPrefix(want, "W/"), `"`) == it.key(&it.state) {
		return nil
	}
	return refuse(http.StatusPreconditionFailed, "ErrorIrresolvableConflict",
		"The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.")
}

func updateEvent(c *call) (int, any, error) {
	b, err := c.eventBody()
	if err != nil {
		return 0, nil, err
	}
	sel, err := c.selected(nil)
	if err != nil {
		return 0, nil, err
	}
	t := c.s.begin()
	defer t.end()
	it, err := c.findLive()
	if err != nil {
		return 0, nil, err
	}
	if err := c.matches(it); err != nil {
		return 0, nil, err
	}
	if err := t.update(it, b); err != nil {
		return 0, nil, err
	}
	t.stamp()
	return http.StatusOK, append(object{{"@odata.context", c.eventsContext() + "/$entity"}}, c.view(it, &it.state, sel)...), nil
}

// update writes a body onto a copy; the organizer's reaches the attendees.
func (t *tx) update(it *item, b *eventBody) error {
	start, end, startZone, endZone, err := b.times(&it.state)
	if err != nil {
		return err
	}
	next := it.state.clone()
	if err := b.recur(&next); err != nil {
		return err
	}
	moved := !start.Equal(it.state.Start) || !end.Equal(it.state.End)
	if moved && it.master != nil && crosses(it, start) {
		return refuse(http.StatusBadRequest, "ErrorOccurrenceCrossingBoundary",
			"Cannot modify an occurrence so that it overlaps or crosses an adjacent one.")
	}
	org := it.organizers()
	t.exceptional(it)
	b.apply(t.edit(it), it.box)
	it.state.StartZone, it.state.EndZone = startZone, endZone
	switch {
	case org != it && moved:
		t.moveOne(it, start, end) // An attendee's own copy; nobody else hears of it.
	case moved:
		t.reschedule(it, start, end)
	}
	if b.Recurrence != nil && it.master == nil {
		it.state.Recurrence, it.kind = next.Recurrence, kindMaster
		t.addInstances(it)
	}
	if b.Body != nil {
		it.state.keepOnline()
	}
	if org == it {
		if b.Attendees != nil {
			t.setAttendees(it, b.attendeeList(t.s.world))
		}
		t.spread(it, b)
	}
	return nil
}

// spread takes what the organizer wrote to the copies of the attendees, and to the instances of a series.
func (t *tx) spread(org *item, b *eventBody) {
	plain := *b
	plain.ShowAs, plain.Categories, plain.IsReminderOn, plain.ReminderMinutesBeforeStart, plain.Attendees = nil, nil, nil, nil, nil
	plain.Start, plain.End, plain.TransactionID, plain.Recurrence = nil, nil, nil, nil
	if plain == (eventBody{}) {
		return
	}
	write := func(it *item) {
		st := t.edit(it)
		cancelled := st.Cancelled
		plain.apply(st, org.box)
		st.Online, st.Provider, st.JoinURL, st.Conference = org.state.Online, org.state.Provider, org.state.JoinURL, org.state.Conference
		st.Cancelled = cancelled
	}
	for _, it := range append([]*item{org}, t.attendeeCopies(org)...) {
		if it.deleted {
			continue
		}
		if it != org {
			t.exceptional(it)
			write(it)
		}
		for _, o := range it.instances {
			if !o.deleted {
				write(o)
			}
		}
	}
}

func deleteEvent(c *call) (int, any, error) {
	t := c.s.begin()
	defer t.end()
	it, err := c.findLive()
	if err != nil {
		return 0, nil, err
	}
	if err := c.matches(it); err != nil {
		return 0, nil, err
	}
	t.discard(it)
	return http.StatusNoContent, nil, nil
}

// discard is deletion by the mailbox's owner: an organizer's calls the meeting off, an attendee's does nothing more.
func (t *tx) discard(it *item) {
	if it.organizers() == it {
		t.cancel(it, "")
		return
	}
	t.remove(it)
}
