package workers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pairsync/internal/graph"
	"pairsync/model"
)

// script is a calendar whose answers depend on how often it was asked.
type script struct {
	event  func(n int, id string) (graph.Event, error)
	ical   func(n int, uid string) (graph.Event, error)
	series func(n int, master string) ([]graph.Event, error)

	mu    sync.Mutex
	asked map[string]int
}

func (s *script) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = make(map[string]int)
	}
	s.asked[what]++
	return s.asked[what]
}

func (s *script) Event(_ context.Context, _ graph.Mailbox, id string) (graph.Event, error) {
	n := s.count("event " + id)
	if s.event == nil {
		return graph.Event{}, gone
	}
	return s.event(n, id)
}

func (s *script) EventByICalUID(_ context.Context, _ graph.Mailbox, uid string) (graph.Event, error) {
	n := s.count("ical " + uid)
	if s.ical == nil {
		return graph.Event{}, gone
	}
	return s.ical(n, uid)
}

func (s *script) Instances(_ context.Context, _ graph.Mailbox, master string, _, _ time.Time) ([]graph.Event, error) {
	n := s.count("instances " + master)
	if s.series == nil {
		return nil, gone
	}
	return s.series(n, master)
}

var gone = &graph.Error{Kind: graph.KindNotFound, Status: 404, Code: "ErrorItemNotFound"}

func testReader(c calendar) *reader {
	return &reader{
		calendar: c, confirmAfter: 2 * time.Second,
		patience: []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second},
	}
}

func storedSession(edit func(*model.Session)) model.Session {
	s := model.Session{
		Tenant: "t", ID: "s-1", Organizer: "p-1", Status: model.SessionScheduled, State: model.OutlookInSync,
		EventID: "event-1", ICalUID: "uid-1", ChangeKey: "key-1", StartsAt: at(9, 0), EndsAt: at(9, 30),
		LastModifiedAt: new(at(8, 0)), ReadAt: new(at(8, 1)),
	}
	if edit != nil {
		edit(&s)
	}
	return s
}

func TestReaderAsksAgainForWhatIsNotFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &script{event: func(n int, _ string) (graph.Event, error) {
			if n < 3 {
				return graph.Event{}, gone
			}
			return meeting(nil), nil
		}}
		begun := time.Now()
		o, err := testReader(c).session(t.Context(), graph.Mailbox{}, storedSession(nil))
		if err != nil || !o.Found {
			t.Fatalf("found: %v, %v", o.Found, err)
		}
		if waited := time.Since(begun); waited != 1500*time.Millisecond {
			t.Errorf("found after %v", waited)
		}
		if !o.ReadAt.After(begun) {
			t.Error("the reading is dated before it was made")
		}
	})
}

func TestReaderBelievesThatAnEventIsGoneInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &script{}
		begun := time.Now()
		c.ical = func(int, string) (graph.Event, error) {
			return graph.Event{}, errors.Join(gone, pause(t.Context(), time.Second))
		}
		o, err := testReader(c).session(t.Context(), graph.Mailbox{}, storedSession(nil))
		if err != nil || o.Found {
			t.Fatalf("found: %v, %v", o.Found, err)
		}
		if waited := time.Since(begun); waited != 4500*time.Millisecond {
			t.Errorf("gave up after %v", waited)
		}
		// Dated later, it would overrule a reading that found the event again in between.
		if want := begun.Add(3500 * time.Millisecond); !o.ReadAt.Equal(want) {
			t.Errorf("dated %v, want the last look at the event itself, %v", o.ReadAt, want)
		}
		if c.asked["event event-1"] != 4 || c.asked["ical uid-1"] != 1 {
			t.Errorf("asked %v", c.asked)
		}
	})
}

func TestReaderDoesNotWaitForWhatIsCancelledAnyway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &script{}
		begun := time.Now()
		s := storedSession(func(s *model.Session) { s.Status, s.Vanished = model.SessionCancelled, true })
		o, err := testReader(c).session(t.Context(), graph.Mailbox{}, s)
		if err != nil || o.Found {
			t.Fatalf("found: %v, %v", o.Found, err)
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestReaderFindsAnEventUnderAnotherID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &script{ical: func(int, string) (graph.Event, error) {
			return meeting(func(ev *graph.Event) { ev.ID = "event-2" }), nil
		}}
		o, err := testReader(c).session(t.Context(), graph.Mailbox{}, storedSession(nil))
		if err != nil || !o.Found || o.EventID != "event-2" {
			t.Errorf("got %q, found %v, %v", o.EventID, o.Found, err)
		}
	})
}

func TestReaderDoesNotTakeTroubleForAnAnswer(t *testing.T) {
	t.Parallel()
	down := &graph.Error{Kind: graph.KindUnavailable}
	tests := map[string]*script{
		"at the first look": {event: func(int, string) (graph.Event, error) { return graph.Event{}, down }},
		"at a later look": {event: func(n int, _ string) (graph.Event, error) {
			if n == 2 {
				return graph.Event{}, down
			}
			return graph.Event{}, gone
		}},
		"at the last look": {ical: func(int, string) (graph.Event, error) { return graph.Event{}, down }},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if _, err := testReader(c).session(t.Context(), graph.Mailbox{}, storedSession(nil)); !errors.Is(err, down) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestReaderConfirmsARevival(t *testing.T) {
	t.Parallel()
	vanished := storedSession(func(s *model.Session) { s.Status, s.Vanished = model.SessionCancelled, true })
	asItWas := meeting(nil)
	newer := meeting(func(ev *graph.Event) { ev.LastModified = at(8, 30) })
	tests := map[string]struct {
		first, second func() (graph.Event, error)
		found         bool
		waited        time.Duration
	}{
		"a copy that lags behind":       {ok(asItWas), missing(), false, 2 * time.Second},
		"back as it was":                {ok(asItWas), ok(asItWas), true, 2 * time.Second},
		"back with something new in it": {ok(newer), missing(), true, 0},
		"back as a cancelled event":     {ok(meeting(func(ev *graph.Event) { ev.Cancelled = true })), missing(), true, 0},
		"changed between the two looks": {ok(asItWas), ok(newer), true, 2 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := &script{event: func(n int, _ string) (graph.Event, error) {
					if n == 1 {
						return tt.first()
					}
					return tt.second()
				}}
				begun := time.Now()
				o, err := testReader(c).session(t.Context(), graph.Mailbox{}, vanished)
				if err != nil || o.Found != tt.found {
					t.Fatalf("found: %v, %v", o.Found, err)
				}
				if waited := time.Since(begun); waited != tt.waited {
					t.Errorf("waited %v, want %v", waited, tt.waited)
				}
			})
		})
	}
}

func ok(ev graph.Event) func() (graph.Event, error) {
	return func() (graph.Event, error) { return ev, nil }
}

func missing() func() (graph.Event, error) {
	return func() (graph.Event, error) { return graph.Event{}, gone }
}

func TestReaderLooksThroughTheMasterOfAnInstance(t *testing.T) {
	t.Parallel()
	instance := storedSession(func(s *model.Session) { s.SeriesMasterID, s.OriginalStart = "master", new(at(9, 0)) })
	renamed := meeting(func(ev *graph.Event) {
		ev.ID, ev.Type, ev.SeriesMasterID, ev.OriginalStart = "event-9", graph.TypeException, "master", at(9, 0)
	})
	other := meeting(func(ev *graph.Event) { ev.ID, ev.OriginalStart = "event-8", at(10, 0) })
	tests := map[string]struct {
		calendar *script
		want     string
	}{
		"it has another id now": {&script{series: func(int, string) ([]graph.Event, error) {
			return []graph.Event{other, renamed}, nil
		}}, "event-9"},
		"it is not in the series any more": {&script{series: func(int, string) ([]graph.Event, error) {
			return []graph.Event{other}, nil
		}}, ""},
		"its iCalUId is another instance's too": {&script{
			ical: func(int, string) (graph.Event, error) { return other, nil },
		}, ""},
		"the series lives on under another id": {&script{
			series: func(_ int, master string) ([]graph.Event, error) {
				if master != "master-2" {
					return nil, gone
				}
				return []graph.Event{renamed}, nil
			},
			ical: func(int, string) (graph.Event, error) {
				return meeting(func(ev *graph.Event) { ev.ID, ev.Type = "master-2", graph.TypeSeriesMaster }), nil
			},
		}, "event-9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, err := testReader(tt.calendar).session(t.Context(), graph.Mailbox{}, instance)
				if err != nil || o.EventID != tt.want || o.Found != (tt.want != "") {
					t.Errorf("got %q, found %v, %v; want %q", o.EventID, o.Found, err, tt.want)
				}
			})
		})
	}
}

func TestReaderReadsASeriesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		instance := func(id string, start time.Time) model.Session {
			return storedSession(func(s *model.Session) {
				s.ID, s.EventID, s.SeriesMasterID, s.OriginalStart = id, id, "master", new(start)
			})
		}
		c := &script{
			series: func(int, string) ([]graph.Event, error) {
				return []graph.Event{meeting(func(ev *graph.Event) { ev.ID, ev.OriginalStart, ev.Start = "a", at(9, 0), at(9, 15) })}, nil
			},
			event: func(_ int, id string) (graph.Event, error) {
				if id == "far" {
					return meeting(func(ev *graph.Event) { ev.ID, ev.OriginalStart = "far", at(11, 0) }), nil
				}
				return graph.Event{}, gone
			},
		}
		sessions := []model.Session{instance("a", at(9, 0)), instance("b", at(10, 0)), instance("far", at(11, 0))}
		read, err := testReader(c).series(t.Context(), graph.Mailbox{}, "master", sessions)
		if err != nil {
			t.Fatal(err)
		}
		if !read[0].Found || !read[0].StartsAt.Equal(at(9, 15)) {
			t.Errorf("the first instance: %+v", read[0])
		}
		if read[1].Found {
			t.Error("an instance that is gone was found")
		}
		if !read[2].Found {
			t.Error("an instance that moved out of the window was not found by its id")
		}
		if c.asked["event a"] != 0 {
			t.Error("an instance that the series showed was read by itself too")
		}
	})
}

func TestReaderEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := testReader(&script{}).session(ctx, graph.Mailbox{}, storedSession(nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v: a reading that was cut short must not say that the event is gone", err)
		}
	})
}
