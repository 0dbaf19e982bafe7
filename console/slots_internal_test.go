package console

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func location(tb testing.TB, name string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return loc
}

func instant(tb testing.TB, s string) time.Time {
	tb.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// spanOf reads "2026-12-01T09:00:00Z/2026-12-01T10:00:00Z".
func spanOf(tb testing.TB, s string) interval {
	tb.Helper()
	a, b, _ := strings.Cut(s, "/")
	return interval{instant(tb, a), instant(tb, b)}
}

func workdays() []time.Weekday {
	return []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
}

func everyDay() []time.Weekday { return append(workdays(), time.Saturday, time.Sunday) }

func TestSlots(t *testing.T) {
	t.Parallel()
	berlin, newYork, nepal, apia := location(t, "Europe/Berlin"), location(t, "America/New_York"), location(t, "Asia/Kathmandu"), location(t, "Pacific/Apia")
	office := func(zone *time.Location) *week { return &week{workdays(), 9 * 60, 17 * 60, zone} }
	for name, tc := range map[string]struct {
		within  string
		minutes int
		people  []person
		grid    *time.Location
		want    []string
	}{
		"nobody limits anything": {
			within: "2026-12-01T09:00:00Z/2026-12-01T10:30:00Z", minutes: 30,
			want: []string{"2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z", "2026-12-01T10:00:00Z"},
		},
		"an hour begins on every half hour": {
			within: "2026-12-01T09:00:00Z/2026-12-01T10:30:00Z", minutes: 60,
			want: []string{"2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z"},
		},
		"no room": {within: "2026-12-01T09:00:00Z/2026-12-01T09:20:00Z", minutes: 30},
		"both are free, by two clocks": {
			within: "2026-12-01T00:00:00Z/2026-12-02T00:00:00Z", minutes: 60,
			people: []person{{hours: office(berlin)}, {hours: office(newYork)}},
			want:   []string{"2026-12-01T14:00:00Z", "2026-12-01T14:30:00Z", "2026-12-01T15:00:00Z"},
		},
		"a weekend": {
			within: "2026-12-05T00:00:00Z/2026-12-07T00:00:00Z", minutes: 30, people: []person{{hours: office(berlin)}},
		},
		"between engagements, odd times last": {
			within: "2026-12-01T09:00:00Z/2026-12-01T12:00:00Z", minutes: 30,
			people: []person{
				{busy: []interval{spanOf(t, "2026-12-01T08:00:00Z/2026-12-01T09:10:00Z"), spanOf(t, "2026-12-01T09:50:00Z/2026-12-01T10:30:00Z")}},
				{busy: []interval{spanOf(t, "2026-12-01T11:00:00Z/2026-12-01T11:22:00Z"), spanOf(t, "2026-12-01T11:52:00Z/2026-12-01T12:30:00Z")}},
			},
			want: []string{"2026-12-01T10:30:00Z", "2026-12-01T09:15:00Z", "2026-12-01T11:22:00Z"},
		},
		"busy end to end": {
			within: "2026-12-01T09:00:00Z/2026-12-01T10:30:00Z", minutes: 30,
			people: []person{{busy: []interval{spanOf(t, "2026-12-01T09:30:00Z/2026-12-01T10:00:00Z")}}},
			want:   []string{"2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z"},
		},
		"what is declared narrows the working hours": {
			within: "2026-12-01T00:00:00Z/2026-12-04T00:00:00Z", minutes: 30,
			people: []person{{hours: office(berlin), declared: []week{
				{[]time.Weekday{time.Tuesday}, 8 * 60, 10 * 60, berlin}, {[]time.Weekday{time.Wednesday}, 16*60 + 30, 24 * 60, berlin},
			}}},
			want: []string{"2026-12-01T08:00:00Z", "2026-12-01T08:30:00Z", "2026-12-02T15:30:00Z"},
		},
		"spring forward, the missing hour": {
			// 02:00 to 03:00 doesn't exist in Berlin on 2026-03-29.
			within: "2026-03-28T23:00:00Z/2026-03-29T22:00:00Z", minutes: 60,
			people: []person{{hours: &week{everyDay(), 60, 4 * 60, berlin}}},
			want:   []string{"2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		},
		"fall back, the doubled hour": {
			within: "2026-10-24T22:00:00Z/2026-10-25T23:00:00Z", minutes: 60,
			people: []person{{hours: &week{everyDay(), 2 * 60, 4 * 60, berlin}}},
			want: []string{
				"2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z",
			},
		},
		"the offset moves, nine stays nine": {
			within: "2026-03-27T00:00:00Z/2026-03-31T00:00:00Z", minutes: 480, people: []person{{hours: office(berlin)}},
			want: []string{"2026-03-27T08:00:00Z", "2026-03-30T07:00:00Z"},
		},
		"a night shift": {
			within: "2026-12-01T00:00:00Z/2026-12-02T00:00:00Z", minutes: 60,
			people: []person{{hours: &week{[]time.Weekday{time.Monday}, 23 * 60, 2 * 60, time.UTC}}},
			want:   []string{"2026-12-01T00:00:00Z", "2026-12-01T00:30:00Z", "2026-12-01T01:00:00Z"},
		},
		"an hour that isn't UTC's": {
			within: "2026-12-01T04:00:00Z/2026-12-01T05:00:00Z", minutes: 30, grid: nepal,
			want: []string{"2026-12-01T04:15:00Z"},
		},
		"half a day ahead": {
			within: "2026-11-30T00:00:00Z/2026-12-01T12:00:00Z", minutes: 480, people: []person{{hours: office(apia)}},
			want: []string{"2026-11-30T20:00:00Z"},
		},
		"a week of hours, none of them": {
			within: "2026-12-01T00:00:00Z/2026-12-08T00:00:00Z", minutes: 30, people: []person{{hours: &week{nil, 0, 24 * 60, time.UTC}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.grid == nil {
				tc.grid = time.UTC
			}
			in := spanOf(t, tc.within)
			var got []string
			for _, s := range slots(in.start, in.end, time.Duration(tc.minutes)*time.Minute, tc.people, tc.grid) {
				got = append(got, s.start.UTC().Format(time.RFC3339))
				if s.end.Sub(s.start) != time.Duration(tc.minutes)*time.Minute {
					t.Errorf("%v is not %d minutes long", s, tc.minutes)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("slots begin (-want +got):\n%s", diff)
			}
		})
	}
}

func drawWeek(rt *rapid.T, label string) week {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"}
	zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(rt, label+" zone"))
	if err != nil {
		rt.Fatal(err)
	}
	return week{
		days: rapid.SliceOfDistinct(rapid.SampledFrom(everyDay()), func(d time.Weekday) time.Weekday { return d }).Draw(rt, label+" days"),
		from: rapid.IntRange(0, 24*60-1).Draw(rt, label+" from"), to: rapid.IntRange(1, 24*60).Draw(rt, label+" to"), zone: zone,
	}
}

func drawPeople(rt *rapid.T, from, to time.Time) []person {
	people := make([]person, rapid.IntRange(0, 4).Draw(rt, "people"))
	for i := range people {
		for range rapid.IntRange(0, 8).Draw(rt, "engagements") {
			start := from.Add(time.Duration(rapid.Int64Range(-3600, int64(to.Sub(from)/time.Second)).Draw(rt, "busy from")) * time.Second)
			people[i].busy = append(people[i].busy, interval{start, start.Add(time.Duration(rapid.IntRange(0, 8*3600).Draw(rt, "busy for")) * time.Second)})
		}
		if rapid.Bool().Draw(rt, "has hours") {
			w := drawWeek(rt, "hours")
			people[i].hours = &w
		}
		for range rapid.IntRange(0, 3).Draw(rt, "declared") {
			people[i].declared = append(people[i].declared, drawWeek(rt, "declared"))
		}
	}
	return people
}

// covers says whether one wall-clock minute, seen by itself, lies in the window: another way to the same answer.
func (w week) covers(at time.Time) bool {
	local := at.In(w.zone)
	minute := local.Hour()*60 + local.Minute()
	if w.to > w.from {
		return slices.Contains(w.days, local.Weekday()) && minute >= w.from && minute < w.to
	}
	if minute >= w.from {
		return slices.Contains(w.days, local.Weekday())
	}
	return minute < w.to && slices.Contains(w.days, (local.Weekday()+6)%7)
}

// canMeet judges one minute by itself. Minutes in which clocks change are left to the table above.
func (p person) canMeet(at time.Time) bool {
	for _, b := range p.busy {
		if b.start.Before(at.Add(time.Minute)) && b.end.After(at) && b.end.After(b.start) {
			return false
		}
	}
	if p.hours != nil && !p.hours.covers(at) {
		return false
	}
	return len(p.declared) == 0 || slices.ContainsFunc(p.declared, func(w week) bool { return w.covers(at) })
}

// TestSlotsProperty compares slots with a judge that looks at each minute alone, in a season without clock changes.
func TestSlotsProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		from := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 7*24*60).Draw(rt, "from")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(rt, "window")) * time.Minute)
		length := time.Duration(rapid.IntRange(5, 240).Draw(rt, "minutes")) * time.Minute
		people := drawPeople(rt, from, to)
		got := slots(from, to, length, people, time.UTC)

		fits := func(start time.Time) bool {
			if start.Before(from) || start.Add(length).After(to) {
				return false
			}
			for at := start; at.Before(start.Add(length)); at = at.Add(time.Minute) {
				if slices.ContainsFunc(people, func(p person) bool { return !p.canMeet(at) }) {
					return false
				}
			}
			return true
		}
		seen, odd := map[time.Time]bool{}, false
		for _, s := range got {
			if s.end.Sub(s.start) != length || !fits(s.start) || seen[s.start] {
				rt.Fatalf("the slot %v doesn't fit, or comes twice", s)
			}
			seen[s.start] = true
			onGrid := s.start.Minute()%30 == 0
			if onGrid && odd {
				rt.Fatalf("%v comes after a slot that is not on the half hour", s)
			}
			odd = odd || !onGrid
		}
		for at := nextStart(from, slotGrid, time.UTC); at.Before(to); at = at.Add(slotGrid) {
			if fits(at) && !seen[at] {
				rt.Fatalf("%v is free for everybody, and is not offered", at)
			}
		}
	})
}
