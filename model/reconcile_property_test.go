package model_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pairsync/model"
)

// life is what people did to one event, as Outlook would have shown it after each step, oldest first.
type life []model.Observation

// drawLife draws the steps of an event: each moves it, cancels it, brings it back, answers, invites, or makes it vanish for a
// while. Some steps fall into the same moment of Outlook's clock, as two quick changes do.
func drawLife(t *rapid.T) life {
	o := model.Observation{
		Found: true, EventID: "AAk1", ICalUID: "uid-1", StartsAt: at(9, 0), EndsAt: at(9, 30), JoinURL: "https://teams.example/1",
		Attendees:      []model.ObservedAttendee{{Email: "grace@contoso.example", RSVP: noAnswer}},
		LastModifiedAt: at(7, 0), ReadAt: at(7, 1), ChangeKey: "k0",
	}
	l := life{o}
	for i := range rapid.IntRange(0, 7).Draw(t, "steps") {
		now := at(7, 2*i+2)
		o.ReadAt = now.Add(time.Minute)
		if o.Found && rapid.IntRange(0, 5).Draw(t, "vanishes") == 0 {
			gone := model.Observation{ReadAt: o.ReadAt}
			l = append(l, gone)
			o.Found = false
			continue
		}
		if o.Found = true; !l[len(l)-1].Found && rapid.Bool().Draw(t, "comes back as it was") {
			l = append(l, o)
			continue
		}
		o = step(t, o, now)
		if rapid.Bool().Draw(t, "later") || !l[len(l)-1].Found {
			o.LastModifiedAt = now
		}
		o.ChangeKey = fmt.Sprintf("k%d", i+1)
		l = append(l, o)
	}
	return l
}

func step(t *rapid.T, o model.Observation, now time.Time) model.Observation {
	o.Attendees = append([]model.ObservedAttendee(nil), o.Attendees...)
	switch rapid.IntRange(0, 5).Draw(t, "step") {
	case 0:
		o.StartsAt = at(rapid.IntRange(9, 12).Draw(t, "hour"), 0)
		o.EndsAt = o.StartsAt.Add(30 * time.Minute)
		for i := range o.Attendees {
			o.Attendees[i].RSVP = model.RSVP{Response: model.ResponseNone, RespondedAt: new(time.Date(4501, 1, 1, 0, 0, 0, 0, time.UTC))}
		}
	case 1:
		o.Cancelled = !o.Cancelled
	case 2:
		if len(o.Attendees) > 0 {
			o.Attendees[0].RSVP = rapid.SampledFrom([]model.RSVP{accepted(now), declined(now), proposed(now, at(13, 0), at(14, 0))}).Draw(t, "answer")
		}
	case 3:
		o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: fmt.Sprintf("P%d@contoso.example", now.Minute()), RSVP: noAnswer})
	case 4:
		if len(o.Attendees) > 0 {
			o.Attendees = o.Attendees[1:]
		}
	case 5:
		o.JoinURL = fmt.Sprintf("https://teams.example/%d", now.Minute())
	}
	return o
}

// shown is what of a session must equal the last truth. A vanished event has no times of its own.
func shown(s model.Session) map[string]any {
	m := map[string]any{"status": s.Status}
	if s.Vanished {
		return m
	}
	m["starts"], m["ends"], m["link"], m["key"] = s.StartsAt, s.EndsAt, s.JoinURL, s.ChangeKey
	people := map[string]model.RSVP{}
	for _, a := range s.Attendees {
		people[strings.ToLower(a.Email)] = a.RSVP
	}
	m["people"] = people
	return m
}

func fresh() model.Session {
	return model.Session{
		Tenant: "t", ID: "s", Status: model.SessionScheduled, Organizer: "p-1", StartsAt: at(9, 0), EndsAt: at(9, 30),
		Attendees: []model.Attendee{{Participant: "p-2", Email: "grace@contoso.example", RSVP: noAnswer}},
		EventID:   "AAk1", State: model.OutlookPending, Version: 1,
	}
}

// TestAnyOrderEndsInTheLastTruth: whatever the order and repetition in which readings of one event come, the session ends as
// it would had only the last truth been read.
func TestAnyOrderEndsInTheLastTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := drawLife(t)
		last := l[len(l)-1]
		want, _, _ := model.Reconcile(fresh(), last)

		s := fresh()
		order := rapid.SliceOfN(rapid.IntRange(0, len(l)-1), 0, 3*len(l)).Draw(t, "order")
		order = append(order, rapid.Permutation(indices(len(l))).Draw(t, "each at least once")...)
		for _, i := range order {
			next, changes, verdict := model.Reconcile(s, l[i])
			if (verdict == model.VerdictChanged) != (len(changes) > 0) {
				t.Fatalf("verdict %v with %d changes", verdict, len(changes))
			}
			if next.Version != s.Version+int64(len(changes)) {
				t.Fatalf("version %d after %d changes of version %d", next.Version, len(changes), s.Version)
			}
			if verdict == model.VerdictStale && cmp.Diff(s, next) != "" {
				t.Fatalf("a stale reading changed the session")
			}
			s = next
		}
		if diff := cmp.Diff(shown(want), shown(s)); diff != "" {
			t.Fatalf("after the order %v (-truth +session):\n%s", order, diff)
		}
	})
}

// TestNoChangeTwice: once the last truth is known, no reading tells anything; and a history told in order tells each step
// once, however often each of its readings is repeated.
func TestNoChangeTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := drawLife(t)
		once, often := fresh(), fresh()
		var first, second []model.Change
		for i, o := range l {
			var changes []model.Change
			once, changes, _ = model.Reconcile(once, o)
			first = append(first, changes...)
			for _, j := range append(rapid.SliceOfN(rapid.IntRange(0, i), 0, 4).Draw(t, "repeated"), i, i) {
				if j < i {
					var old []model.Change
					if often, old, _ = model.Reconcile(often, l[j]); len(old) > 0 {
						t.Fatalf("reading %d, known since long, tells %v", j, old[0].Kind)
					}
					continue
				}
				often, changes, _ = model.Reconcile(often, l[j])
				second = append(second, changes...)
			}
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("repetition changes the history:\n%s", diff)
		}
		for i, o := range l {
			if _, changes, _ := model.Reconcile(once, o); len(changes) > 0 {
				t.Fatalf("reading %d after the last truth tells %v", i, changes[0].Kind)
			}
		}
	})
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
