package model

import (
	"slices"
	"time"
)

// times settles when the meeting is, and says whether Outlook shows it at another time than before: then it has reset the
// answers.
func (d *difference) times() (moved bool) {
	o := d.observed
	moved = !d.base.showsTimes(o.StartsAt, o.EndsAt)
	wished := d.request != nil && d.request.Times
	agreed := d.before.StartsAt.Equal(o.StartsAt) && d.before.EndsAt.Equal(o.EndsAt)
	switch {
	case agreed:
		d.withdraw(KindRescheduled)
		if wished && d.confirmed {
			d.request.Times = false
		}
	case wished && d.own():
		// An earlier wish, on its way to being overwritten.
	case wished && d.confirmed && d.news && (!d.booked() || o.LastModifiedAt.After(d.request.TimesAt)):
		// It was written, and this is what Outlook made of it. An event that an earlier attempt has booked may be older.
		d.request.Times = false
		d.reschedule()
	case !moved || d.written && !d.confirmed && !d.booked():
		// Nobody moved it in Outlook: a change is written into what was read before.
	case wished && !o.LastModifiedAt.After(d.request.TimesAt):
		d.supersede(SourceOutlook, fields{"starts_at": o.StartsAt, "ends_at": o.EndsAt}, d.session())
	default:
		d.movedByPeople(wished)
	}
	return moved
}

// booked says whether the observation answers a booking. An event that an earlier attempt has booked is answered as it is,
// whatever has become of it.
func (d *difference) booked() bool { return d.request != nil && d.request.Kind == RequestBook }

// own says whether the observed times show our own hand.
func (d *difference) own() bool {
	return slices.ContainsFunc(d.request.Tried, func(w Wish) bool { return w.times(d.observed.StartsAt, d.observed.EndsAt) })
}

func (d *difference) session() fields {
	return fields{"starts_at": d.before.StartsAt, "ends_at": d.before.EndsAt}
}

// movedByPeople is what a move in Outlook means, which is newer than the platform's wish if there is one.
func (d *difference) movedByPeople(wished bool) {
	o := d.observed
	outlook := fields{"starts_at": o.StartsAt, "ends_at": o.EndsAt}
	if wished {
		d.give()
	}
	choice := d.policy(d.terms.Policy.Reschedule)
	if d.after.Status == SessionCancelled {
		choice = PolicyApply
	}
	switch choice {
	case PolicyAsk:
		d.wait(KindRescheduled, d.session(), outlook)
	case PolicyNotify:
		d.add(KindRescheduled, d.session(), outlook, "").Applied = false
	case PolicyApply:
		d.drop()
		if !wished {
			d.reschedule()
			return
		}
		d.supersede(SourcePlatform, d.session(), outlook)
		d.after.StartsAt, d.after.EndsAt = o.StartsAt, o.EndsAt
		d.after.Lost = true
	}
}

// give takes the wish for times out of the request, and the request away when nothing is left of it.
func (d *difference) give() {
	r := d.request
	r.Times = false
	tried := make([]Wish, 0, len(r.Tried))
	for _, w := range r.Tried {
		w.StartsAt, w.EndsAt = time.Time{}, time.Time{}
		tried = append(tried, w)
	}
	r.Tried = tried
	if !r.People && !r.Title {
		d.request = nil
	}
}

func (d *difference) reschedule() {
	d.after.StartsAt, d.after.EndsAt = d.observed.StartsAt, d.observed.EndsAt
	d.after.Lost = false
	d.add(KindRescheduled, d.session(), fields{"starts_at": d.after.StartsAt, "ends_at": d.after.EndsAt}, "")
}
