package workers

import (
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// seriesMargin is added on both sides of the window in which a series is read. Outlook lets no instance pass its neighbour,
// so that in a series of up to a week's step a moved one stays within it; one that is missing is looked for by its own id
// before anything is concluded.
const seriesMargin = 8 * 24 * time.Hour

// window is the stretch of time that the sessions of a series span, by where their instances were and by where they are.
// sessions must not be empty.
func window(sessions []model.Session) (from, to time.Time) {
	for i, s := range sessions {
		first, last := s.StartsAt, s.EndsAt
		if s.OriginalStart != nil {
			first = earlier(first, *s.OriginalStart)
			last = later(last, *s.OriginalStart)
		}
		if i == 0 {
			from, to = first, last
			continue
		}
		from, to = earlier(from, first), later(to, last)
	}
	return from.Add(-seriesMargin), to.Add(seriesMargin)
}

// instanceOf finds the session's instance by its original start, or by its id while no reading has told the original start.
func instanceOf(s model.Session, instances []graph.Event) (graph.Event, bool) {
	for _, ev := range instances {
		if s.OriginalStart != nil && ev.OriginalStart.Equal(*s.OriginalStart) {
			return ev, true
		}
		if s.OriginalStart == nil && ev.ID == s.EventID {
			return ev, true
		}
	}
	return graph.Event{}, false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
