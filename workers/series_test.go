package workers

import (
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

func TestWindowSpansWhereInstancesWereAndAre(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 12, n, 9, 0, 0, 0, time.UTC) }
	sessions := []model.Session{
		{StartsAt: day(10), EndsAt: day(10).Add(time.Hour), OriginalStart: new(day(3))},
		{StartsAt: day(12), EndsAt: day(12).Add(time.Hour), OriginalStart: new(day(17))},
		{StartsAt: day(11), EndsAt: day(11).Add(time.Hour)},
	}
	from, to := window(sessions)
	if want := day(3).Add(-seriesMargin); !from.Equal(want) {
		t.Errorf("from %v, want %v", from, want)
	}
	if want := day(17).Add(seriesMargin); !to.Equal(want) {
		t.Errorf("to %v, want %v", to, want)
	}
}

func TestInstanceOf(t *testing.T) {
	t.Parallel()
	instances := []graph.Event{
		{ID: "a", OriginalStart: at(9, 0)},
		{ID: "b", OriginalStart: at(10, 0)},
	}
	tests := map[string]struct {
		session model.Session
		want    string
	}{
		"by original start, whatever the id": {model.Session{EventID: "old", OriginalStart: new(at(10, 0))}, "b"},
		"by id before the first reading":     {model.Session{EventID: "a"}, "a"},
		"gone":                               {model.Session{EventID: "a", OriginalStart: new(at(11, 0))}, ""},
		"unknown id":                         {model.Session{EventID: "c"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := instanceOf(tt.session, instances)
			if got.ID != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %v; want %q", got.ID, ok, tt.want)
			}
		})
	}
}
