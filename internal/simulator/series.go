package simulator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxInstances is how many instances of a series exist here; an endless series has its first so many.
const maxInstances = 1000

// recurrence is Graph's patternedRecurrence: daily, weekly and absoluteMonthly patterns.
// https://learn.microsoft.com/graph/api/resources/patternedrecurrence
type recurrence struct {
	Pattern recurrencePattern `json:"pattern"`
	Range   recurrenceRange   `json:"range"`
}

type recurrencePattern struct {
	Type           string   `json:"type"`
	Interval       int      `json:"interval"`
	Month          int      `json:"month"`
	DayOfMonth     int      `json:"dayOfMonth"`
	DaysOfWeek     []string `json:"daysOfWeek"`
	FirstDayOfWeek string   `json:"firstDayOfWeek"`
	Index          string   `json:"index"`
}

type recurrenceRange struct {
	Type                string `json:"type"`
	StartDate           string `json:"startDate"`
	EndDate             string `json:"endDate"`
	RecurrenceTimeZone  string `json:"recurrenceTimeZone"`
	NumberOfOccurrences int    `json:"numberOfOccurrences"`
}

// normal fills what Graph fills in and refuses what it, or this simulator, does not do.
func (r *recurrence) normal(start time.Time, z zone) error {
	p := &r.Pattern
	p.Interval = max(p.Interval, 1)
	if p.FirstDayOfWeek == "" {
		p.FirstDayOfWeek = "sunday"
	}
	if p.Index == "" {
		p.Index = "first"
	}
	for i, d := range p.DaysOfWeek {
		p.DaysOfWeek[i] = strings.ToLower(d)
		if _, err := weekday(d); err != nil {
			return err
		}
	}
	switch p.Type {
	case "daily":
	case "weekly":
		if len(p.DaysOfWeek) == 0 {
			return errors.New("a weekly pattern needs daysOfWeek")
		}
	case "absoluteMonthly":
		if p.DayOfMonth < 1 || p.DayOfMonth > 31 {
			return errors.New("an absoluteMonthly pattern needs dayOfMonth")
		}
	default:
		return fmt.Errorf("recurrence pattern %q is not supported", p.Type)
	}
	if p.DaysOfWeek == nil {
		p.DaysOfWeek = []string{}
	}
	g := &r.Range
	if g.RecurrenceTimeZone == "" {
		g.RecurrenceTimeZone = z.name
	}
	if g.StartDate == "" {
		g.StartDate = start.In(z.loc).Format(time.DateOnly)
	}
	if _, err := time.Parse(time.DateOnly, g.StartDate); err != nil {
		return fmt.Errorf("startDate: %w", err)
	}
	switch g.Type {
	case "noEnd":
	case "endDate":
		if _, err := time.Parse(time.DateOnly, g.EndDate); err != nil {
			return fmt.Errorf("endDate: %w", err)
		}
	case "numbered":
		if g.NumberOfOccurrences < 1 {
			return errors.New("a numbered range needs numberOfOccurrences")
		}
	default:
		return fmt.Errorf("recurrence range %q is not supported", g.Type)
	}
	if g.EndDate == "" {
		g.EndDate = "0001-01-01"
	}
	_, err := parseZone(g.RecurrenceTimeZone)
	return err
}

func weekday(name string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), name) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is not a day of the week", name)
}

// days lists the calendar days of a series, at most maxInstances of them.
func (r *recurrence) days() []time.Time {
	first, err := time.Parse(time.DateOnly, r.Range.StartDate)
	if err != nil {
		return nil
	}
	last := first.AddDate(30, 0, 0)
	if r.Range.Type == "endDate" {
		if end, err := time.Parse(time.DateOnly, r.Range.EndDate); err == nil {
			last = end
		}
	}
	limit := maxInstances
	if r.Range.Type == "numbered" {
		limit = min(limit, r.Range.NumberOfOccurrences)
	}
	var days []time.Time
	for d := first; !d.After(last) && len(days) < limit; d = d.AddDate(0, 0, 1) {
		if r.Pattern.falls(first, d) {
			days = append(days, d)
		}
	}
	return days
}

// falls says whether the pattern that began on first has an instance on day.
func (p recurrencePattern) falls(first, day time.Time) bool {
	switch p.Type {
	case "daily":
		return int(day.Sub(first).Hours()/24)%p.Interval == 0
	case "weekly":
		begin, err := weekday(p.FirstDayOfWeek)
		if err != nil {
			begin = time.Sunday
		}
		week := func(d time.Time) time.Time { return d.AddDate(0, 0, -(int(d.Weekday()-begin)+7)%7) }
		weeks := int(week(day).Sub(week(first)).Hours() / 24 / 7)
		return weeks%p.Interval == 0 && slices.Contains(p.DaysOfWeek, strings.ToLower(day.Weekday().String()))
	case "absoluteMonthly":
		months := (day.Year()-first.Year())*12 + int(day.Month()) - int(first.Month())
		lastOfMonth := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		return months%p.Interval == 0 && day.Day() == min(p.DayOfMonth, lastOfMonth)
	default:
		return false
	}
}

// addInstances gives a master its instances. Days that it had before keep their ids; days that the pattern no longer has go.
func (t *tx) addInstances(master *item) {
	if master.kind != kindMaster {
		return
	}
	r := master.state.Recurrence
	z, err := parseZone(r.Range.RecurrenceTimeZone)
	if err != nil {
		z = utcZone()
	}
	clock := master.state.Start.In(z.loc)
	length := master.state.End.Sub(master.state.Start)
	instances := make([]*item, 0, len(master.instances))
	for _, d := range r.days() {
		day := d.Format(time.DateOnly)
		start := time.Date(d.Year(), d.Month(), d.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, z.loc).UTC()
		if have := master.instance(day); have != nil {
			instances = append(instances, have)
			continue
		}
		st := master.state.clone()
		st.Start, st.End, st.Recurrence = start, start.Add(length), nil
		o := &item{
			id: newImmutableID(), legacyID: newDefaultID(), box: master.box, meeting: master.meeting,
			uid: instanceICalUID(master.uid, d), kind: kindOccurrence, organizer: master.organizer, created: t.now,
			state: st, master: master, day: day, originalStart: start,
		}
		t.add(o)
		instances = append(instances, o)
	}
	for _, o := range master.instances {
		if !slices.Contains(instances, o) {
			o.deleted, o.deletedAt = true, t.now
		}
	}
	master.instances = instances
}

// crosses says whether an instance moved to start would stand before or after a neighbour, which Outlook refuses.
func crosses(o *item, start time.Time) bool {
	before := true
	for _, n := range o.master.instances {
		switch {
		case n == o:
			before = false
		case n.deleted:
		case before && !start.After(n.state.Start), !before && !start.Before(n.state.Start):
			return true
		}
	}
	return false
}
