package workers

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/graph"
	"pairsync/model"
)

func at(hour, minute int) time.Time { return time.Date(2026, 12, 1, hour, minute, 0, 0, time.UTC) }

// meeting is an event as Graph would give it.
func meeting(edit func(*graph.Event)) graph.Event {
	ev := graph.Event{
		ID: "event-1", ICalUID: "uid-1", ChangeKey: "key-1", Type: graph.TypeSingleInstance,
		Start: at(9, 0), End: at(9, 30), LastModified: at(8, 0),
		Organizer: "Ada@contoso.example",
	}
	if edit != nil {
		edit(&ev)
	}
	return ev
}

func TestObserveKeepsWhatASessionNeeds(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	ev := meeting(func(ev *graph.Event) {
		ev.Type = graph.TypeException
		ev.SeriesMasterID, ev.OriginalStart = "master", at(8, 0)
		ev.Start = ev.Start.In(berlin)
		ev.JoinURL = "https://teams.example/1"
		ev.Cancelled = true
		ev.Attendees = []graph.Attendee{
			{Email: " Grace@Contoso.example ", Type: "required", Response: "tentativelyaccepted", RespondedAt: at(8, 0), ProposedStart: at(10, 0), ProposedEnd: at(10, 30)},
		}
	})
	got, err := observe(ev, at(8, 1))
	if err != nil {
		t.Fatal(err)
	}
	want := model.Observation{
		Found: true, EventID: "event-1", ICalUID: "uid-1", ChangeKey: "key-1",
		SeriesMasterID: "master", OriginalStart: new(at(8, 0)),
		Cancelled: true, StartsAt: at(9, 0), EndsAt: at(9, 30), JoinURL: "https://teams.example/1",
		Attendees: []model.ObservedAttendee{{
			Email: "grace@contoso.example",
			RSVP: model.RSVP{
				Response: model.ResponseTentative, RespondedAt: new(at(8, 0)),
				ProposedStart: new(at(10, 0)), ProposedEnd: new(at(10, 30)),
			},
		}},
		LastModifiedAt: at(8, 0), ReadAt: at(8, 1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observation (-want +got):\n%s", diff)
	}
	if got.StartsAt.Location() != time.UTC {
		t.Errorf("start is in %v", got.StartsAt.Location())
	}
}

func TestObserveAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		response    string
		respondedAt time.Time
		want        model.RSVP
	}{
		"silent in the organizer's copy": {response: "none", want: model.RSVP{Response: model.ResponseNone}},
		"silent in the own copy":         {response: "notresponded", want: model.RSVP{Response: model.ResponseNone}},
		"silent with a time":             {response: "none", respondedAt: at(8, 0), want: model.RSVP{Response: model.ResponseNone}},
		"accepted":                       {response: "accepted", respondedAt: at(8, 0), want: model.RSVP{Response: model.ResponseAccepted, RespondedAt: new(at(8, 0))}},
		"declined without a time":        {response: "declined", want: model.RSVP{Response: model.ResponseDeclined}},
		"a word of the future":           {response: "delegated", respondedAt: at(8, 0), want: model.RSVP{Response: model.ResponseNone}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, answer(graph.Attendee{Response: tt.response, RespondedAt: tt.respondedAt})); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObserveLeavesOutWhoIsNoGuest(t *testing.T) {
	t.Parallel()
	ev := meeting(func(ev *graph.Event) {
		ev.Attendees = []graph.Attendee{
			{Email: "ada@CONTOSO.example", Type: "required", Response: "none"},
			{Email: "room@contoso.example", Type: "resource", Response: "accepted"},
			{Email: "", Type: "required"},
			{Email: "other-ada@contoso.example", Response: "organizer"},
			{Email: "grace@contoso.example", Type: "optional", Response: "accepted"},
		}
	})
	got, err := observe(ev, at(8, 1))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.ObservedAttendee{{Email: "grace@contoso.example", RSVP: model.RSVP{Response: model.ResponseAccepted}}}
	if diff := cmp.Diff(want, got.Attendees); diff != "" {
		t.Errorf("attendees (-want +got):\n%s", diff)
	}
}

func TestObserveRefusesHalfAnEvent(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*graph.Event){
		"no id":            func(ev *graph.Event) { ev.ID = "" },
		"no start":         func(ev *graph.Event) { ev.Start = time.Time{} },
		"no end":           func(ev *graph.Event) { ev.End = time.Time{} },
		"no last modified": func(ev *graph.Event) { ev.LastModified = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := observe(meeting(edit), at(8, 1)); !errors.Is(err, errIncomplete) {
				t.Errorf("got %v", err)
			}
		})
	}
}
