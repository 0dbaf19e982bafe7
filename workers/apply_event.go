package workers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// outlook is the part of Graph that writes, behind the tenant's gate.
type outlook struct {
	client *graph.Client
	gate   *gate
}

func (o outlook) User(ctx context.Context, tenant, email string) (string, error) {
	return through(ctx, o.gate, graph.Mailbox{Tenant: tenant}, func(ctx context.Context) (string, error) {
		return o.client.User(ctx, tenant, email)
	})
}

func (o outlook) event(ctx context.Context, mb graph.Mailbox, id string) (graph.Event, error) {
	return through(ctx, o.gate, mb, func(ctx context.Context) (graph.Event, error) {
		return o.client.Event(ctx, mb, id)
	})
}

func (o outlook) create(ctx context.Context, mb graph.Mailbox, d graph.EventDraft) (graph.Event, error) {
	return through(ctx, o.gate, mb, func(ctx context.Context) (graph.Event, error) {
		return o.client.CreateEvent(ctx, mb, d)
	})
}

func (o outlook) booked(ctx context.Context, mb graph.Mailbox, transaction string) (graph.Event, error) {
	return through(ctx, o.gate, mb, func(ctx context.Context) (graph.Event, error) {
		return o.client.EventByTransaction(ctx, mb, transaction)
	})
}

// update writes a change. Where Outlook's clocks turn out to differ from ours in that zone, the times are written once more,
// in UTC.
func (o outlook) update(ctx context.Context, mb graph.Mailbox, id, changeKey string, p graph.EventPatch) (graph.Event, error) {
	ev, err := through(ctx, o.gate, mb, func(ctx context.Context) (graph.Event, error) {
		return o.client.UpdateEvent(ctx, mb, id, changeKey, p)
	})
	if err != nil || p.Start.IsZero() || p.TimeZone == "" || ev.Start.Equal(p.Start) && ev.End.Equal(p.End) {
		return ev, err
	}
	return o.update(ctx, mb, id, ev.ChangeKey, graph.EventPatch{Start: p.Start, End: p.End})
}

// cancel calls a meeting off. One that nobody is invited to is removed: Outlook cancels only meetings.
func (o outlook) cancel(ctx context.Context, mb graph.Mailbox, id, comment string, invited bool) error {
	_, err := through(ctx, o.gate, mb, func(ctx context.Context) (struct{}, error) {
		if !invited {
			return struct{}{}, o.client.DeleteEvent(ctx, mb, id)
		}
		return struct{}{}, o.client.CancelEvent(ctx, mb, id, comment)
	})
	if graph.KindOf(err) == graph.KindNotFound {
		return nil
	}
	return err
}

// book creates the session's event. What an earlier claim has booked under the same transaction is the event then, with what was
// wanted at that time; it is brought up to date like any other.
func (a *applier) book(ctx context.Context, mb graph.Mailbox, w *model.Work) (written bool, err error) {
	s, readAt := w.Session, time.Now()
	ev, err := a.create(ctx, mb, w)
	if err != nil {
		return false, err
	}
	a.step(ctx, "created")
	if !w.Before && (!ev.Start.Equal(s.StartsAt) || !ev.End.Equal(s.EndsAt)) {
		// Nobody can have moved it yet: Outlook's clocks differ from ours in that zone.
		ev, err = a.outlook.update(ctx, mb, ev.ID, ev.ChangeKey, graph.EventPatch{Start: s.StartsAt, End: s.EndsAt})
		if err != nil {
			return true, err
		}
	}
	o, err := observe(ev, readAt)
	if err != nil {
		return true, err
	}
	applied := &model.Applied{}
	if sameTimes(s, o) && samePeople(s, o) {
		applied.Version = s.Request.Version
	}
	if err := a.commit(ctx, w, o, applied); err != nil {
		return true, err
	}
	a.step(ctx, "committed")
	return true, nil
}

// create gives the one event of a booking. An earlier claim's is looked for first: Graph makes no second one of a transaction,
// but is said to forget them.
func (a *applier) create(ctx context.Context, mb graph.Mailbox, w *model.Work) (graph.Event, error) {
	if w.Before {
		ev, err := a.outlook.booked(ctx, mb, w.TransactionID)
		if graph.KindOf(err) != graph.KindNotFound {
			return ev, err
		}
	}
	s := w.Session
	return a.outlook.create(ctx, mb, graph.EventDraft{
		Subject: s.Title, Start: s.StartsAt, End: s.EndsAt, TimeZone: s.TimeZone, Attendees: guests(s.Attendees, nil),
		Teams: s.OnlineMeeting == onlineTeams, TransactionID: w.TransactionID,
	})
}

// change reads the session's event, commits what it shows, and writes what is still wanted then.
func (a *applier) change(ctx context.Context, mb graph.Mailbox, w *model.Work) (written bool, err error) {
	version := w.Session.Request.Version
	o, open, err := a.look(ctx, mb, w)
	if err != nil || !open || !o.Found || w.Session.Request.Kind != model.RequestChange {
		return false, err
	}
	s := w.Session
	if s.Request.Version != version {
		return false, nil // A newer wish: it must be claimed, so that what is written for it is known as ours.
	}
	patch, differs, err := a.patch(ctx, mb, s, o)
	if err != nil {
		return false, err
	}
	if differs {
		readAt := time.Now()
		ev, err := a.outlook.update(ctx, mb, o.EventID, o.ChangeKey, patch)
		if err != nil {
			return false, err
		}
		a.step(ctx, "updated")
		if o, err = observe(ev, readAt); err != nil {
			return true, err
		}
	}
	if err := a.commit(ctx, w, o, &model.Applied{Version: version}); err != nil {
		return differs, err
	}
	a.step(ctx, "committed")
	return differs, nil
}

// look reads the session's event anew and commits what it shows. open says whether there is still something to write.
func (a *applier) look(ctx context.Context, mb graph.Mailbox, w *model.Work) (o model.Observation, open bool, err error) {
	if o, err = a.reader.session(ctx, mb, w.Session); err != nil {
		return o, false, err
	}
	a.step(ctx, "read")
	if err := a.commit(ctx, w, o, nil); err != nil {
		return o, false, err
	}
	a.step(ctx, "compared")
	return o, w.Session.Request != nil && w.Session.Request.Open, nil
}

// patch is what the request wants of an event that shows something else.
func (a *applier) patch(ctx context.Context, mb graph.Mailbox, s model.Session, o model.Observation) (p graph.EventPatch, differs bool, err error) {
	if s.Request.Title && s.Title != "" {
		// What the subject is now is never read.
		p.Subject, differs = s.Title, true
	}
	if s.Request.Times && !sameTimes(s, o) {
		p.Start, p.End, p.TimeZone, differs = s.StartsAt, s.EndsAt, s.TimeZone, true
	}
	if !s.Request.People || samePeople(s, o) {
		return p, differs, nil
	}
	// Rooms, and who is asked but need not come, are not in the observation and must stay.
	ev, err := a.outlook.event(ctx, mb, o.EventID)
	if err != nil {
		return p, false, err
	}
	if ev.ChangeKey != o.ChangeKey {
		return p, false, errMovedOn
	}
	p.Attendees = guests(s.Attendees, ev.Attendees)
	return p, true, nil
}

// cancel calls the session's event off, if there is one.
func (a *applier) cancel(ctx context.Context, mb graph.Mailbox, w *model.Work) (written bool, err error) {
	event, version, comment, invited := "", w.Session.Request.Version, w.Session.Request.Comment, true
	switch {
	case w.Session.EventID != "":
		o, open, err := a.look(ctx, mb, w)
		if err != nil || !open || w.Session.Request.Kind != model.RequestCancel {
			return false, err
		}
		if o.Found && !o.Cancelled {
			event, invited = o.EventID, len(o.Attendees) > 0
		}
		version, comment = w.Session.Request.Version, w.Session.Request.Comment
	case w.Before:
		// It may have been booked by somebody who didn't live to tell.
		ev, err := a.outlook.booked(ctx, mb, w.TransactionID)
		if err != nil && graph.KindOf(err) != graph.KindNotFound {
			return false, err
		}
		event, invited = ev.ID, len(ev.Attendees) > 0
	}
	if event != "" {
		if err := a.outlook.cancel(ctx, mb, event, comment, invited); err != nil {
			return false, err
		}
		a.step(ctx, "cancelled")
	}
	if err := a.commit(ctx, w, notFound(time.Now()), &model.Applied{Version: version}); err != nil {
		return event != "", err
	}
	a.step(ctx, "committed")
	return event != "", nil
}

// onlineTeams is the platform's word for a Teams meeting.
const onlineTeams = "teams"

func sameTimes(s model.Session, o model.Observation) bool {
	return s.StartsAt.Equal(o.StartsAt.Truncate(time.Microsecond)) && s.EndsAt.Equal(o.EndsAt.Truncate(time.Microsecond))
}

func samePeople(s model.Session, o model.Observation) bool {
	var want, have []string
	for _, a := range s.Attendees {
		want = append(want, strings.ToLower(a.Email))
	}
	for _, a := range o.Attendees {
		have = append(have, strings.ToLower(a.Email))
	}
	slices.Sort(want)
	slices.Sort(have)
	return slices.Equal(slices.Compact(want), slices.Compact(have))
}

// guests is whom the session's event is to invite, and what else is booked with it. The list is never nil: a session without
// attendees invites nobody.
func guests(wanted []model.Attendee, have []graph.Attendee) []graph.Person {
	all := make([]graph.Person, 0, len(wanted)+1)
	for _, w := range wanted {
		p := graph.Person{Email: w.Email}
		for _, h := range have {
			if strings.EqualFold(h.Email, w.Email) {
				p.Type = h.Type
			}
		}
		all = append(all, p)
	}
	for _, h := range have {
		if h.Type == "resource" && h.Email != "" {
			all = append(all, graph.Person{Email: h.Email, Type: h.Type})
		}
	}
	return all
}

// refused says that Outlook will never accept a request, however often it is asked, and gives the word for it.
func refused(err error) (reason string, ok bool) {
	ge, ok := errors.AsType[*graph.Error](err)
	if !ok || ge.Kind != graph.KindInvalid || ge.Reason != graph.ReasonInvalidRequest {
		return "", false
	}
	return ge.Reason, true
}
