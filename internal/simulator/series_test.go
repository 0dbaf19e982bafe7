package simulator

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func (o *office) instances(t *testing.T, b Booked) []map[string]any {
	t.Helper()
	q := "?startDateTime=" + url.QueryEscape(monday().AddDate(0, 0, -30).Format(time.RFC3339)) +
		"&endDateTime=" + url.QueryEscape(monday().AddDate(1, 0, 0).Format(time.RFC3339)) + "&$top=100"
	var list []map[string]any
	for _, v := range o.graph(t, 200, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID+"/instances"+q, nil, immutable())["value"].([]any) {
		list = append(list, v.(map[string]any))
	}
	return list
}

func TestInstancesOfASeries(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.series(t)
	list := o.instances(t, b)
	if len(list) != 5 {
		t.Fatalf("%d instances", len(list))
	}
	for i, e := range list {
		at := monday().AddDate(0, 0, 7*i)
		if e["type"] != kindOccurrence || e["seriesMasterId"] != b.ID || e["originalStart"] != at.Format(graphTime) || e["recurrence"] != nil ||
			e["id"] != b.Instances[i].ID || e["occurrenceId"] != "OID."+b.ID+"."+at.Format(time.DateOnly) {
			t.Errorf("instance %d: %v", i, e)
		}
	}
	// A list of events has the master alone, a calendar view the instances alone.
	all := o.graph(t, 200, http.MethodGet, o.events(t, "Ada"), nil)["value"].([]any)
	if len(all) != 1 || all[0].(map[string]any)["type"] != kindMaster {
		t.Errorf("list %v", all)
	}
	view, err := o.Calendar(email("Grace"), monday(), monday().AddDate(0, 0, 8))
	if err != nil || len(view) != 2 || view[0].Kind != kindOccurrence {
		t.Errorf("Grace's view %+v, %v", view, err)
	}
}

func TestChangesOfOneInstanceAreToldOfTheMaster(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	b := o.series(t)
	o.subscribe(t, d, email("Ada"), immutable())
	at := b.Instances[1].OriginalStart.Add(90 * time.Minute)
	steps := []func() error{
		func() error { return o.Move(b.Instances[1].ID, at, at.Add(time.Hour)) },
		func() error { return o.Cancel(b.Instances[2].ID) },
		func() error { return o.Accept(email("Grace"), b.Instances[3].ID) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatal(i, err)
		}
		o.settle(t)
		items := d.all()
		if len(items) != i+1 || items[i]["changeType"] != changeUpdated || text(t, items[i], "resourceData", "id") != b.ID {
			t.Fatalf("step %d: notifications %v", i, items)
		}
	}
	list := o.instances(t, b)
	if len(list) != 4 {
		t.Fatalf("%d instances left", len(list))
	}
	moved := list[1]
	if moved["type"] != kindException || text(t, moved, "start", "dateTime") != at.Format(localTime) || moved["originalStart"] != b.Instances[1].OriginalStart.Format(graphTime) {
		t.Errorf("moved instance %v", moved)
	}
	o.graph(t, 404, http.MethodGet, o.events(t, "Ada")+"/"+b.Instances[2].ID, nil)
	answered := list[2]
	if got := text(t, answered["attendees"].([]any)[0].(map[string]any), "status", "response"); got != answerAccepted || answered["type"] != kindException {
		t.Errorf("answered instance %v", answered)
	}
	if v, err := o.CopyOf(email("Grace"), b.Instances[2].ID); err != nil || !v.Cancelled {
		t.Errorf("Grace's copy of the cancelled instance: %+v, %v", v, err)
	}
	if v, err := o.CopyOf(email("Grace"), b.Instances[1].ID); err != nil || !v.Start.Equal(at) {
		t.Errorf("Grace's copy of the moved instance: %+v, %v", v, err)
	}
}

func TestInstancesCannotCross(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.series(t)
	at := b.Instances[2].OriginalStart.Add(time.Minute)
	body := map[string]any{"start": wallTime{at.Format(localTime), "UTC"}, "end": wallTime{at.Add(time.Hour).Format(localTime), "UTC"}}
	if got := o.graph(t, 400, http.MethodPatch, o.events(t, "Ada")+"/"+b.Instances[1].ID, body); code(got) != "ErrorOccurrenceCrossingBoundary" {
		t.Errorf("code %s", code(got))
	}
	if err := o.Move(b.Instances[1].ID, at, at.Add(time.Hour)); err == nil {
		t.Error("an instance crossed its neighbour")
	}
	// Where a cancelled neighbour was there is room.
	if err := o.Cancel(b.Instances[2].ID); err != nil {
		t.Fatal(err)
	}
	o.graph(t, 200, http.MethodPatch, o.events(t, "Ada")+"/"+b.Instances[1].ID, body)
}

func TestWholeSeriesMovesAndIsCalledOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.series(t)
	if err := o.Accept(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	for _, e := range o.instances(t, b) {
		if got := text(t, e["attendees"].([]any)[0].(map[string]any), "status", "response"); got != answerAccepted {
			t.Errorf("an instance of an accepted series is %s", got)
		}
	}
	at := monday().Add(2 * time.Hour)
	if err := o.Move(b.ID, at, at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i, e := range o.instances(t, b) {
		want := at.AddDate(0, 0, 7*i)
		if text(t, e, "start", "dateTime") != want.Format(localTime) || e["originalStart"] != want.Format(graphTime) || e["id"] != b.Instances[i].ID {
			t.Errorf("instance %d after the move: %v", i, e)
		}
		if got := text(t, e["attendees"].([]any)[0].(map[string]any), "status", "response"); got != answerNotResponded {
			t.Errorf("instance %d is still answered: %s", i, got)
		}
	}
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	o.graph(t, 404, http.MethodGet, o.events(t, "Ada")+"/"+b.ID, nil)
	o.graph(t, 404, http.MethodGet, o.events(t, "Ada")+"/"+b.Instances[0].ID, nil)
	view, err := o.Calendar(email("Grace"), monday(), monday().AddDate(0, 0, 40))
	if err != nil || len(view) != 5 || !view[4].Cancelled {
		t.Errorf("Grace's view %+v, %v", view, err)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pattern recurrencePattern
		limit   recurrenceRange
		want    []string
	}{
		"every third day": {
			recurrencePattern{Type: "daily", Interval: 3},
			recurrenceRange{Type: "numbered", StartDate: "2031-01-30", NumberOfOccurrences: 3},
			[]string{"2031-01-30", "2031-02-02", "2031-02-05"},
		},
		"every other Monday and Friday": {
			recurrencePattern{Type: "weekly", Interval: 2, DaysOfWeek: []string{"Monday", "friday"}, FirstDayOfWeek: "monday"},
			recurrenceRange{Type: "endDate", StartDate: "2031-01-06", EndDate: "2031-01-24"},
			[]string{"2031-01-06", "2031-01-10", "2031-01-20", "2031-01-24"},
		},
		"the last day of the month": {
			recurrencePattern{Type: "absoluteMonthly", Interval: 1, DayOfMonth: 31},
			recurrenceRange{Type: "numbered", StartDate: "2031-01-31", NumberOfOccurrences: 3},
			[]string{"2031-01-31", "2031-02-28", "2031-03-31"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recurrence{Pattern: test.pattern, Range: test.limit}
			if err := r.normal(time.Now(), utcZone()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range r.days() {
				got = append(got, d.Format(time.DateOnly))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("days %v, want %v", got, test.want)
			}
		})
	}
	endless := recurrence{Pattern: recurrencePattern{Type: "daily", Interval: 1}, Range: recurrenceRange{Type: "noEnd", StartDate: "2031-01-01"}}
	if n := len(endless.days()); n != maxInstances {
		t.Errorf("an endless series has %d instances", n)
	}
}

func TestSeriesKeepsItsWallTimeAcrossSummerTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	got := o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), map[string]any{
		"subject": "Stand-up", "start": wallTime{"2031-03-28T09:00:00", "W. Europe Standard Time"}, "end": wallTime{"2031-03-28T09:15:00", "W. Europe Standard Time"},
		"recurrence": map[string]any{
			"pattern": map[string]any{"type": "daily", "interval": 1}, "range": map[string]any{"type": "endDate", "startDate": "2031-03-28", "endDate": "2031-03-31"},
		},
	}, immutable())
	q := "/instances?startDateTime=2031-03-01T00:00:00Z&endDateTime=2031-04-30T00:00:00Z&$select=start"
	var starts []string
	for _, v := range o.graph(t, 200, http.MethodGet, o.events(t, "Ada")+"/"+text(t, got, "id")+q, nil)["value"].([]any) {
		starts = append(starts, text(t, v.(map[string]any), "start", "dateTime")[:16])
	}
	// Clocks go forward on the night to Sunday, the 30th.
	if want := []string{"2031-03-28T08:00", "2031-03-29T08:00", "2031-03-30T07:00", "2031-03-31T07:00"}; !slices.Equal(starts, want) {
		t.Errorf("starts %v, want %v", starts, want)
	}
}
