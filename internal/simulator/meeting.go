package simulator

import (
	"slices"
	"strings"
	"time"
)

// The functions here are what Outlook does to the copies of a meeting, whoever asks for it: Graph, the page or a test.
// Each runs inside a transaction.

// book creates the organizer's copy of an event and the copies of everybody who is invited and has a mailbox here.
func (t *tx) book(box *mailbox, st state, transaction string) *item {
	m := &meeting{uid: newICalUID(t.now), copies: map[*mailbox]*item{}}
	t.s.world.meetings[m.uid] = m
	st.Organizer = address{Name: box.name, Email: box.email}
	st.Response, st.RespondedAt = answerOrganizer, time.Time{}
	for i := range st.Attendees {
		st.Attendees[i].Response, st.Attendees[i].Time, st.Attendees[i].Proposed = answerNone, time.Time{}, nil
	}
	it := t.newItem(box, m, st)
	it.organizer = true
	it.transaction = transaction
	m.organizer = it
	t.add(it)
	t.addInstances(it)
	for _, a := range st.Attendees {
		t.invite(it, a.Address.Email)
	}
	return it
}

func (t *tx) newItem(box *mailbox, m *meeting, st state) *item {
	it := &item{
		id: newImmutableID(), legacyID: newDefaultID(), box: box, meeting: m, uid: m.uid,
		kind: kindSingle, created: t.now, state: st,
	}
	if st.Recurrence != nil {
		it.kind = kindMaster
	}
	m.copies[box] = it
	return it
}

// invite puts a copy of the organizer's item into the mailbox with that address, or brings up to date the one that is there.
func (t *tx) invite(org *item, email string) {
	box, err := t.s.world.person(email)
	if err != nil || box == org.box || box.kind == MailboxDeleted {
		return
	}
	if have := org.meeting.copies[box]; have != nil && !have.deleted {
		t.refresh(org, have)
		return
	}
	it := t.newItem(box, org.meeting, invitation(org, email))
	t.add(it)
	t.addInstances(it)
}

// invitation is how a meeting first looks in an attendee's mailbox.
func invitation(org *item, email string) state {
	st := org.state.clone()
	st.Response, st.RespondedAt = answerNotResponded, time.Time{}
	st.ShowAs = "tentative"
	st.Cancelled, st.Comment = false, ""
	for i := range st.Attendees {
		// Only the organizer's copy collects the answers of the others.
		st.Attendees[i].Response, st.Attendees[i].Time, st.Attendees[i].Proposed = answerNone, time.Time{}, nil
	}
	if st.HideAttendees {
		st.Attendees = slices.DeleteFunc(st.Attendees, func(a attendee) bool { return !sameAddress(a.Address.Email, email) })
	}
	return st
}

// refresh writes a new invitation over a copy that is still there, and over its instances.
func (t *tx) refresh(org, have *item) {
	t.invited(org, have)
	for _, o := range have.instances {
		if from := org.instance(o.day); from != nil && !from.deleted && !o.deleted {
			t.invited(from, o)
		}
	}
}

// invited makes one copy look as it did when the invitation came.
func (t *tx) invited(org, own *item) {
	st := t.edit(own)
	modified, version := st.Modified, st.Version
	*st = invitation(org, own.box.email)
	st.Modified, st.Version = modified, version
}

// attendeeCopies are the copies of it, deleted or not, in the mailboxes of the people whom the organizer's copy invites.
func (t *tx) attendeeCopies(org *item) []*item {
	var copies []*item
	for _, a := range org.state.Attendees {
		box, err := t.s.world.person(a.Address.Email)
		if err != nil || box == org.box {
			continue
		}
		if own := org.sibling(box); own != nil && !slices.Contains(copies, own) {
			copies = append(copies, own)
		}
	}
	return copies
}

// exceptional makes an occurrence that is about to differ from its series an exception, and marks its master as changed.
func (t *tx) exceptional(it *item) {
	if it.master == nil {
		return
	}
	if it.kind == kindOccurrence {
		it.kind = kindException
	}
	t.edit(it.master)
}

// reschedule moves the organizer's event. All answers are void then: they fall back to notResponded at the sentinel date,
// proposals vanish, and each attendee is asked anew.
func (t *tx) reschedule(org *item, start, end time.Time) {
	t.exceptional(org)
	t.moveOne(org, start, end)
	t.voidAnswers(org)
	for _, a := range org.state.Attendees {
		box, err := t.s.world.person(a.Address.Email)
		if err != nil || box == org.box {
			continue
		}
		own := org.sibling(box)
		if own == nil || own.deleted {
			if org.master == nil {
				t.invite(org, a.Address.Email)
			}
			continue
		}
		t.exceptional(own)
		t.moveOne(own, start, end)
		st := &own.state
		st.Response, st.RespondedAt, st.ShowAs = answerNotResponded, time.Time{}, "tentative"
		if me := st.attendee(own.box.email); me != nil {
			me.Response, me.Time = answerNone, time.Time{}
		}
	}
}

// moveOne gives one copy new times; a master takes its instances along.
func (t *tx) moveOne(it *item, start, end time.Time) {
	st := t.edit(it)
	shift := start.Sub(st.Start)
	st.Start, st.End = start, end
	if it.kind != kindMaster {
		return
	}
	for _, o := range it.instances {
		if o.deleted {
			continue
		}
		t.touch(o)
		o.originalStart = o.originalStart.Add(shift)
		o.kind = kindOccurrence
		o.state.Start = o.originalStart
		o.state.End = o.originalStart.Add(end.Sub(start))
		o.state.Response, o.state.RespondedAt = it.state.Response, it.state.RespondedAt
	}
}

func (t *tx) voidAnswers(org *item) {
	void := func(st *state) {
		for i := range st.Attendees {
			st.Attendees[i].Response, st.Attendees[i].Time, st.Attendees[i].Proposed = answerNotResponded, farFuture(), nil
		}
	}
	void(t.edit(org))
	for _, o := range org.instances {
		if !o.deleted {
			t.touch(o)
			void(&o.state)
		}
	}
}

// answer records what an attendee answered on their copy and, when it is sent, on the organizer's. A declined copy moves to
// Deleted Items unless the person keeps declined meetings.
func (t *tx) answer(own *item, response string, proposed *slot, send bool) {
	t.exceptional(own)
	showAs := "busy"
	switch response {
	case answerTentative:
		showAs = "tentative"
	case answerDeclined:
		showAs = "free"
	}
	set := func(st *state) {
		st.Response, st.RespondedAt, st.ShowAs = response, t.now, showAs
		if me := st.attendee(own.box.email); me != nil {
			me.Response, me.Time = response, t.now
		}
	}
	set(t.edit(own))
	for _, o := range own.instances {
		if !o.deleted {
			t.touch(o)
			set(&o.state)
		}
	}
	if org := own.organizers(); send && own.state.ResponseRequested && org != nil && !org.deleted {
		t.tally(org, own.box.email, response, proposed)
	}
	if response == answerDeclined && !own.box.keepDeclined {
		t.remove(own)
	}
}

// tally writes an answer that arrived onto the organizer's copy.
func (t *tx) tally(org *item, email, response string, proposed *slot) {
	set := func(st *state, p *slot) {
		if a := st.attendee(email); a != nil {
			a.Response, a.Time, a.Proposed = response, t.now, p
		}
	}
	if org.state.attendee(email) == nil {
		return
	}
	t.exceptional(org)
	set(t.edit(org), proposed)
	for _, o := range org.instances {
		if !o.deleted {
			t.touch(o)
			set(&o.state, nil)
		}
	}
}

// cancel calls the organizer's event off: it moves to Deleted Items, the attendees keep a copy marked as cancelled.
func (t *tx) cancel(org *item, comment string) {
	for _, own := range t.attendeeCopies(org) {
		if !own.deleted {
			t.exceptional(own)
			t.markCancelled(own)
			own.state.Comment = comment
		}
	}
	st := t.edit(org)
	st.Cancelled, st.Comment = true, comment
	t.remove(org)
}

// markCancelled is what a cancellation that arrives does to an attendee's copy.
func (t *tx) markCancelled(own *item) {
	mark := func(st *state) {
		st.Cancelled = true
		st.ShowAs = "free"
		if !strings.HasPrefix(st.Subject, "Canceled: ") {
			st.Subject = "Canceled: " + st.Subject
		}
	}
	mark(t.edit(own))
	for _, o := range own.instances {
		if !o.deleted {
			t.touch(o)
			mark(&o.state)
		}
	}
}

// restore brings an event back from Deleted Items; when the organizer does it, the attendees are invited again.
func (t *tx) restore(it *item) {
	t.bringBack(it)
	if it.organizers() != it {
		return
	}
	st := t.edit(it)
	st.Cancelled, st.Comment = false, ""
	for i := range st.Attendees {
		st.Attendees[i].Response, st.Attendees[i].Time, st.Attendees[i].Proposed = answerNone, time.Time{}, nil
	}
	if it.master != nil {
		for _, own := range t.attendeeCopies(it) {
			if !own.deleted {
				t.invited(it, own)
			}
		}
		return
	}
	for _, a := range st.Attendees {
		t.invite(it, a.Address.Email)
	}
}

// setAttendees changes who is invited. Those who stay hear nothing; a copy of somebody removed is marked as cancelled
// although the meeting lives on.
func (t *tx) setAttendees(org *item, list []attendee) {
	old := org.state.Attendees
	st := t.edit(org)
	next := make([]attendee, 0, len(list))
	for _, a := range list {
		a.Response, a.Time, a.Proposed = answerNone, time.Time{}, nil
		i := slices.IndexFunc(old, func(o attendee) bool { return sameAddress(o.Address.Email, a.Address.Email) })
		if i >= 0 {
			a.Response, a.Time, a.Proposed = old[i].Response, old[i].Time, old[i].Proposed
		}
		next = append(next, a)
	}
	st.Attendees = next
	for _, o := range org.instances {
		if !o.deleted {
			t.touch(o)
			o.state.Attendees = slices.Clone(next)
		}
	}
	for _, a := range old {
		if st.attendee(a.Address.Email) != nil {
			continue
		}
		if box, err := t.s.world.person(a.Address.Email); err == nil && box != org.box {
			if own := org.sibling(box); own != nil && !own.deleted {
				t.exceptional(own)
				t.markCancelled(own)
			}
		}
	}
	for _, a := range next {
		known := slices.ContainsFunc(old, func(o attendee) bool { return sameAddress(o.Address.Email, a.Address.Email) })
		if !known && org.master == nil {
			t.invite(org, a.Address.Email)
		}
	}
}
