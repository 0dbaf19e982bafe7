package model

import (
	"slices"
	"time"
)

// triedMost bounds how many wishes a request remembers: as many claims in a row, each of a newer wish, must end with nothing
// confirmed before the oldest is forgotten.
const triedMost = 32

// attempt is what carrying out the request makes of the event of a session.
func (r Request) attempt(s Session) Wish {
	var w Wish
	if r.Times || r.Kind == RequestBook {
		w.StartsAt, w.EndsAt = s.StartsAt, s.EndsAt
	}
	switch want, have := s.people(), s.seen().People; {
	case r.Kind == RequestBook:
		w.Added = want
	case r.People:
		w.Added, w.Removed = without(want, have), without(have, want)
	}
	return w
}

// without are those of people who are not among others.
func without(people, others []string) []string {
	return slices.DeleteFunc(slices.Clone(people), func(p string) bool { return slices.Contains(others, p) })
}

// try adds what carrying out the request makes of the event to what was tried, and says whether that is new.
func (r *Request) try(s Session) bool {
	wish := r.attempt(s)
	if slices.ContainsFunc(r.Tried, wish.equal) {
		return false
	}
	r.Tried = append(r.Tried, wish)
	r.Tried = r.Tried[max(0, len(r.Tried)-triedMost):]
	return true
}

// shown takes out of what was tried what the event shows by now: the same that comes later is somebody else's doing.
func (r *Request) shown(v Seen) {
	left := make([]Wish, 0, len(r.Tried))
	for _, w := range r.Tried {
		if w.times(v.StartsAt, v.EndsAt) {
			w.StartsAt, w.EndsAt = time.Time{}, time.Time{}
		}
		w.Added = without(w.Added, v.People)
		w.Removed = slices.DeleteFunc(slices.Clone(w.Removed), func(p string) bool { return !slices.Contains(v.People, p) })
		left = append(left, w)
	}
	r.Tried = left
}

func (w Wish) times(starts, ends time.Time) bool {
	return !w.StartsAt.IsZero() && w.StartsAt.Equal(starts) && w.EndsAt.Equal(ends)
}

func (w Wish) equal(other Wish) bool {
	return w.StartsAt.Equal(other.StartsAt) && w.EndsAt.Equal(other.EndsAt) &&
		slices.Equal(w.Added, other.Added) && slices.Equal(w.Removed, other.Removed)
}
