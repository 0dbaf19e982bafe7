package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/model"
)

// The bounds of a free/busy request.
const (
	maxFreeBusy = 50
	maxPeriod   = 62 * 24 * time.Hour
	minMinutes  = 5
	maxMinutes  = 24 * 60
)

// freeBusy is the answer to a free/busy request.
type freeBusy struct {
	Participants []freeBusyPerson `json:"participants"`
	Slots        []span           `json:"slots"`
	// Complete says that everybody could be read, so that the slots are certain.
	Complete bool `json:"complete"`
}

// freeBusyPerson is what is known of one person. Error and Remedy are nil when the calendar was read.
type freeBusyPerson struct {
	Participant  string        `json:"participant"`
	Busy         []span        `json:"busy"`
	WorkingHours *workingHours `json:"working_hours"`
	Error        *string       `json:"error"`
	Remedy       *string       `json:"remedy"`
}

// span is an interval as it is answered.
type span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// workingHours are a person's, written like a window of availability.
type workingHours struct {
	Days     []string `json:"days"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	TimeZone string   `json:"time_zone"`
}

// getFreeBusy tells when people are busy and when they can meet. Of their calendars nothing but times is read.
func (c *Console) getFreeBusy(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	q := readQuery(r, "participants", "from", "to", "minutes")
	ids := q.idList("participants", maxFreeBusy)
	from, to, minutes := q.time("from"), q.time("to"), q.minutes()
	switch {
	case q.first != nil:
	case from.IsZero():
		q.fail("from", "is required: an RFC 3339 time with offset")
	case to.IsZero():
		q.fail("to", "is required: an RFC 3339 time with offset")
	case !to.After(from):
		q.fail("to", "must be after from")
	case to.Sub(from) > maxPeriod:
		q.fail("to", "must be at most 62 days after from")
	}
	if q.first != nil {
		return q.first
	}
	people := make([]model.Participant, 0, len(ids))
	for _, id := range ids {
		p, err := c.store.Participant(r.Context(), tenant.ID, id)
		if errors.Is(err, model.ErrNotFound) {
			return malformed("participants", "names %q, who is not a participant", id)
		}
		if err != nil {
			return fmt.Errorf("reading a participant: %w", err)
		}
		people = append(people, p)
	}
	schedules := c.schedules(r.Context(), tenant, people, from, to)
	if err := r.Context().Err(); err != nil {
		return fmt.Errorf("reading schedules: %w", err)
	}
	return writeJSON(w, http.StatusOK, newFreeBusy(people, schedules, from, to, time.Duration(minutes)*time.Minute))
}

// minutes is how long a slot is to be; 30 unless told.
func (q *query) minutes() int {
	given := q.text("minutes")
	if given == "" {
		return 30
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < minMinutes || n > maxMinutes {
		q.fail("minutes", "must be a number from %d to %d", minMinutes, maxMinutes)
	}
	return n
}

// idList is a required list of ids with commas between them, each counted once.
func (q *query) idList(name string, limit int) []string {
	var ids []string
	for id := range strings.SplitSeq(q.text(name), ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		if !validID(id) {
			q.fail(name, "must be ids of participants with commas between them")
			return nil
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	switch {
	case len(ids) == 0:
		q.fail(name, "is required: ids of participants with commas between them")
	case len(ids) > limit:
		q.fail(name, "must not name more than %d participants", limit)
	}
	return ids
}

// schedules reads when each of the people is busy, in their order. Under one consent for all, anybody's mailbox can ask for
// everybody; where people connect on their own, each is read with their own token only.
func (c *Console) schedules(ctx context.Context, tenant model.Tenant, people []model.Participant, from, to time.Time) []graph.Schedule {
	if tenant.Method == model.MethodPerUser {
		return c.ownSchedules(ctx, tenant, people, from, to)
	}
	emails := make([]string, len(people))
	for i, p := range people {
		emails[i] = p.Email
	}
	// Whoever's mailbox is known to be well asks first; the others may be what is wrong.
	askers := slices.Clone(people)
	slices.SortStableFunc(askers, func(a, b model.Participant) int { return cmp.Compare(askRank(a), askRank(b)) })
	all := make([]graph.Schedule, len(people))
	for i := range all {
		all[i] = graph.Schedule{Email: emails[i], Err: errNobodyAsked}
	}
	for _, asker := range askers {
		got, err := c.calendars.Schedules(ctx, mailboxOf(tenant.ID, asker.MailboxID, asker.Email), emails, from, to)
		if err == nil && len(got) == len(people) {
			return got
		}
		for i, p := range people {
			if p.ID == asker.ID {
				all[i].Err = err
			}
		}
		if kind := graph.KindOf(err); kind != graph.KindMailbox && kind != graph.KindNotFound && kind != graph.KindThrottled {
			// Not this mailbox's trouble, so another one has it too.
			for i := range all {
				all[i].Err = err
			}
			return all
		}
	}
	return all
}

// errNobodyAsked is why somebody wasn't read when no mailbox could ask for them.
var errNobodyAsked = errors.New("no mailbox could ask")

func askRank(p model.Participant) int {
	switch p.MailboxStatus {
	case model.MailboxOK:
		return 0
	case model.MailboxUnknown:
		return 1
	case model.MailboxUnreachable, model.MailboxNeedsSignIn:
	}
	return 2
}

// ownSchedules reads each person's schedule as that person.
func (c *Console) ownSchedules(ctx context.Context, tenant model.Tenant, people []model.Participant, from, to time.Time) []graph.Schedule {
	all := make([]graph.Schedule, len(people))
	var g errgroup.Group
	g.SetLimit(probesAtOnce)
	for i, p := range people {
		g.Go(func() error {
			got, err := c.calendars.Schedules(ctx, mailboxOf(tenant.ID, p.MailboxID, p.Email), []string{p.Email}, from, to)
			if err == nil && len(got) == 1 {
				all[i] = got[0]
				return nil
			}
			all[i] = graph.Schedule{Email: p.Email, Err: cmp.Or(err, errNobodyAsked)}
			return nil
		})
	}
	_ = g.Wait() // Each failure is in the schedule that it concerns.
	return all
}

// newFreeBusy makes the answer of what was read. Somebody who couldn't be read limits the slots only by what they declared.
func newFreeBusy(people []model.Participant, schedules []graph.Schedule, from, to time.Time, length time.Duration) freeBusy {
	answer := freeBusy{Participants: make([]freeBusyPerson, len(people)), Slots: []span{}, Complete: true}
	judged := make([]person, len(people))
	readable := false
	var grid *time.Location
	for i, p := range people {
		s := schedules[i]
		shown := freeBusyPerson{Participant: p.ID, Busy: []span{}}
		judged[i].declared = declared(p.Availability)
		if s.Err != nil {
			t := troubleOf(s.Err, stepFreeBusy)
			shown.Error, shown.Remedy = &t.Reason, &t.Remedy
			answer.Complete = false
		} else {
			readable = true
			for _, b := range s.Busy {
				// Graph gives whole engagements, also where they reach out of what was asked for.
				shown.Busy = append(shown.Busy, span{b.Start.UTC(), b.End.UTC()})
				judged[i].busy = append(judged[i].busy, interval{b.Start, b.End})
			}
			shown.WorkingHours, judged[i].hours = hoursOf(s.WorkingHours)
		}
		if grid == nil {
			grid = zoneOf(judged[i])
		}
		answer.Participants[i] = shown
	}
	if grid == nil {
		grid = time.UTC
	}
	if readable {
		for _, s := range slots(from, to, length, judged, grid) {
			answer.Slots = append(answer.Slots, span{s.start.UTC(), s.end.UTC()})
		}
	}
	return answer
}

// zoneOf is by whose clock half hours are counted: the person's own, if it is known.
func zoneOf(p person) *time.Location {
	switch {
	case p.hours != nil:
		return p.hours.zone
	case len(p.declared) > 0:
		return p.declared[0].zone
	}
	return nil
}

// hoursOf shows and judges working hours. Hours in a zone that nobody knows are shown and limit nothing.
func hoursOf(h *graph.WorkingHours) (*workingHours, *week) {
	if h == nil {
		return nil, nil
	}
	from, to := int(h.Start/time.Minute), int(h.End/time.Minute)
	shown := &workingHours{Days: []string{}, From: clockText(from), To: clockText(to), TimeZone: h.TimeZone}
	for _, day := range h.Days {
		shown.Days = append(shown.Days, strings.ToLower(day.String()))
	}
	if h.Location == nil {
		return shown, nil
	}
	if name := h.Location.String(); validZone(name) {
		shown.TimeZone = name
	}
	return shown, &week{days: h.Days, from: from, to: to, zone: h.Location}
}

func clockText(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// declared are the windows that a participant gave. They were checked when they were stored.
func declared(windows []model.Availability) []week {
	weeks := make([]week, 0, len(windows))
	for _, w := range windows {
		from, okFrom := clock(w.From)
		to, okTo := clock(w.To)
		zone, err := time.LoadLocation(w.TimeZone)
		if !okFrom || !okTo || err != nil {
			continue
		}
		weeks = append(weeks, week{days: weekdays(w.Days), from: from, to: to, zone: zone})
	}
	return weeks
}

func weekdays(names []string) []time.Weekday {
	days := make([]time.Weekday, 0, len(names))
	for day := time.Sunday; day <= time.Saturday; day++ {
		if slices.Contains(names, strings.ToLower(day.String())) {
			days = append(days, day)
		}
	}
	return days
}
