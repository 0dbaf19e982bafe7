package console

import (
	"slices"
	"time"
)

// interval is a time from start to just before end.
type interval struct {
	start, end time.Time
}

// week is a window that comes again every week by the clock of a zone.
type week struct {
	days []time.Weekday
	// from and to are minutes since midnight; to is 1440 for the end of the day, and at or before from when the window ends
	// on the day after.
	from, to int
	zone     *time.Location
}

// person is what is known of when somebody can meet.
type person struct {
	busy []interval
	// hours are the working hours; nil when they are not known, which limits nothing.
	hours *week
	// declared are the windows that the person gave the platform; none limits nothing.
	declared []week
}

// slotGrid is where meetings like to begin.
const slotGrid = 30 * time.Minute

// slots are the times of the given length between from and to in which everybody is free, inside the working hours and
// the declared availability of each. Those that begin on the hour or half hour by the clock of grid come first, in order;
// a time between two engagements that has none of them gives one slot, after all the others.
func slots(from, to time.Time, length time.Duration, people []person, grid *time.Location) []interval {
	found := []interval{}
	if length <= 0 || !to.After(from) {
		return found
	}
	var odd []interval
	for _, free := range common(from, to, people) {
		aligned := false
		for at := nextStart(free.start, slotGrid, grid); !at.Add(length).After(free.end); at = nextStart(at.Add(time.Minute), slotGrid, grid) {
			found = append(found, interval{at, at.Add(length)})
			aligned = true
		}
		if aligned {
			continue
		}
		if at, ok := oddStart(free, length, grid); ok {
			odd = append(odd, interval{at, at.Add(length)})
		}
	}
	return append(found, odd...)
}

// oddStart finds the roundest beginning of a slot in a time that has room for none on the hour or half hour.
func oddStart(free interval, length time.Duration, grid *time.Location) (time.Time, bool) {
	for _, round := range []time.Duration{15 * time.Minute, 5 * time.Minute, time.Minute} {
		if at := nextStart(free.start, round, grid); !at.Add(length).After(free.end) {
			return at, true
		}
	}
	return time.Time{}, false
}

// nextStart is the first time at or after t whose minutes, by the clock of zone, are a multiple of round, which divides an
// hour.
func nextStart(t time.Time, round time.Duration, zone *time.Location) time.Time {
	local := t.In(zone)
	past := time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	if over := past % round; over > 0 {
		t = t.Add(round - over)
	}
	return t.UTC()
}

// common are the times between from and to in which everybody can meet, in order, apart from each other.
func common(from, to time.Time, people []person) []interval {
	free := []interval{{from, to}}
	for _, p := range people {
		if p.hours != nil {
			free = intersect(free, p.hours.between(from, to))
		}
		if len(p.declared) > 0 {
			var windows []interval
			for _, w := range p.declared {
				windows = append(windows, w.between(from, to)...)
			}
			free = intersect(free, merge(windows))
		}
		free = without(free, merge(p.busy))
	}
	return free
}

// between are the window's occurrences that touch the time between from and to, in order, apart from each other. Where
// clocks change, a wall-clock time that doesn't exist is the one an hour later, and of two the first is meant.
func (w week) between(from, to time.Time) []interval {
	var windows []interval
	day := from.In(w.zone)
	// The window of the day before may reach into from.
	for date := time.Date(day.Year(), day.Month(), day.Day()-1, 12, 0, 0, 0, w.zone); ; date = date.AddDate(0, 0, 1) {
		start := w.clock(date, w.from)
		if !start.Before(to) {
			break
		}
		end := w.clock(date, w.to)
		if w.to <= w.from {
			end = w.clock(date, w.to+24*60)
		}
		if slices.Contains(w.days, date.Weekday()) && end.After(from) && end.After(start) {
			windows = append(windows, interval{start, end})
		}
	}
	return merge(windows)
}

// clock is a wall-clock time on the date's day. Of a time that comes twice, package time doesn't promise which one it gives.
func (w week) clock(date time.Time, minutes int) time.Time {
	at := time.Date(date.Year(), date.Month(), date.Day(), minutes/60, minutes%60, 0, 0, w.zone)
	_, offset := at.Zone()
	_, before := at.Add(-3 * time.Hour).Zone()
	first := at.Add(time.Duration(offset-before) * time.Second)
	if before > offset && first.Hour() == at.Hour() && first.Minute() == at.Minute() {
		return first
	}
	return at
}

// merge puts times in order and joins those that touch. It leaves out what is empty.
func merge(times []interval) []interval {
	sorted := slices.DeleteFunc(slices.Clone(times), func(i interval) bool { return !i.end.After(i.start) })
	slices.SortFunc(sorted, func(a, b interval) int { return a.start.Compare(b.start) })
	merged := make([]interval, 0, len(sorted))
	for _, i := range sorted {
		if last := len(merged) - 1; last >= 0 && !i.start.After(merged[last].end) {
			if i.end.After(merged[last].end) {
				merged[last].end = i.end
			}
			continue
		}
		merged = append(merged, i)
	}
	return merged
}

// intersect is what two merged lists share.
func intersect(a, b []interval) []interval {
	var shared []interval
	for i, j := 0, 0; i < len(a) && j < len(b); {
		start, end := a[i].start, a[i].end
		if b[j].start.After(start) {
			start = b[j].start
		}
		if b[j].end.Before(end) {
			end = b[j].end
		}
		if end.After(start) {
			shared = append(shared, interval{start, end})
		}
		if a[i].end.Before(b[j].end) {
			i++
		} else {
			j++
		}
	}
	return shared
}

// without is what is left of a merged list when another one is taken away.
func without(free, busy []interval) []interval {
	var left []interval
	for _, f := range free {
		at := f.start
		for _, b := range busy {
			if !b.end.After(at) {
				continue
			}
			if !b.start.Before(f.end) {
				break
			}
			if b.start.After(at) {
				left = append(left, interval{at, b.start})
			}
			at = b.end
			if !at.Before(f.end) {
				break
			}
		}
		if at.Before(f.end) {
			left = append(left, interval{at, f.end})
		}
	}
	return left
}
