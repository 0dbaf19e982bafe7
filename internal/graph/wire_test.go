package graph

import (
	"bytes"
	"testing"
	"time"
)

func TestPublishedEvents(t *testing.T) {
	t.Parallel()
	cases := []struct {
		file  string
		check func(t *testing.T, e Event)
	}{
		{"event-organizer-rescheduled-responses-reset__concepts-outlook-calendar-meeting-proposals.json", func(t *testing.T, e Event) {
			t.Helper()
			if len(e.Attendees) != 1 || e.Attendees[0].Response != "notresponded" || !e.Attendees[0].RespondedAt.IsZero() {
				t.Errorf("attendees %+v", e.Attendees)
			}
		}},
		{"event-organizer-attendee-tentative-proposednewtime__concepts-outlook-calendar-meeting-proposals.json", func(t *testing.T, e Event) {
			t.Helper()
			if len(e.Attendees) != 1 || e.Attendees[0].Response != "tentativelyaccepted" || e.Attendees[0].ProposedStart.IsZero() {
				t.Errorf("attendees %+v", e.Attendees)
			}
		}},
		{"event-teams-online-meeting-201__concepts-outlook-calendar-online-meetings.json", func(t *testing.T, e Event) {
			t.Helper()
			if e.JoinURL == "" {
				t.Error("no join link")
			}
		}},
		{"event-seriesmaster-exceptions-cancellations__api-event-get-2025.json", func(t *testing.T, e Event) {
			t.Helper()
			if e.ICalUID == "" || !e.Start.Equal(time.Date(2020, 4, 23, 11, 30, 0, 0, time.UTC)) {
				t.Errorf("%+v", e)
			}
		}},
		{"event-organizer-attendee-responses__concepts-outlook-create-event-in-shared-delegated-calendar.json", func(t *testing.T, e Event) {
			t.Helper()
			if len(e.Attendees) == 0 || e.Organizer == "" || e.ChangeKey == "" || e.LastModified.IsZero() {
				t.Errorf("%+v", e)
			}
		}},
	}
	for _, tc := range cases {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			// They were read with a Prefer of Pacific time, which is never asked for here.
			body := bytes.ReplaceAll(fixture(t, tc.file), []byte(`"Pacific Standard Time"`), []byte(`"UTC"`))
			e, err := decodeEvent(body)
			if err != nil {
				t.Fatal(err)
			}
			if e.ID == "" || e.Start.IsZero() || e.End.IsZero() {
				t.Errorf("%+v", e)
			}
			tc.check(t, e)
		})
	}
	t.Run("in a zone that was not asked for", func(t *testing.T) {
		t.Parallel()
		if _, err := decodeEvent(fixture(t, "event-get-select-pst__api-event-get.json")); err == nil {
			t.Error("Pacific time was taken for UTC")
		}
	})
	t.Run("instances", func(t *testing.T) {
		t.Parallel()
		body := bytes.ReplaceAll(fixture(t, "event-instances__api-event-list-instances.json"), []byte(`"Pacific Standard Time"`), []byte(`"UTC"`))
		events, next, err := decodeEvents(body)
		if err != nil || len(events) == 0 || next != "" {
			t.Fatalf("%d events, next %q, %v", len(events), next, err)
		}
		for _, e := range events {
			if e.ID == "" || e.Start.IsZero() {
				t.Errorf("%+v", e)
			}
		}
	})
	t.Run("placeholders", func(t *testing.T) {
		t.Parallel()
		// Only that it comes back at all.
		_, _, _ = decodeEvents(fixture(t, "calendarview-placeholder__api-calendar-list-calendarview.json"))
	})
	t.Run("not JSON", func(t *testing.T) {
		t.Parallel()
		if _, err := decodeEvent(fixture(t, "event-created-recurring__api-user-post-events.raw.txt")); err == nil {
			t.Error("read")
		}
	})
}

func TestOddEvents(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, body string
		ok         bool
	}{
		{"an id is enough", `{"id":"1"}`, true},
		{"nulls", `{"id":"1","start":null,"end":null,"attendees":null,"organizer":null,"onlineMeeting":null,"seriesMasterId":null,"isCancelled":null}`, true},
		{"an attendee of nothing", `{"id":"1","attendees":[{}, {"emailAddress":null,"status":null,"proposedNewTime":null}]}`, true},
		{"a member twice", `{"id":"1","id":"2"}`, true},
		{"unknown members", `{"id":"1","newThing":{"deep":[1,2,{"a":null}]}}`, true},
		{"no id", `{"subject":"x"}`, false},
		{"an id that is no string", `{"id":7}`, false},
		{"cut off", `{"id":"1","start":{"dateTime":"2026-`, false},
		{"nothing", ``, false},
		{"a bad time", `{"id":"1","lastModifiedDateTime":"x"}`, false},
		{"a bad answer time", `{"id":"1","attendees":[{"status":{"time":"x"}}]}`, false},
	}
	for _, tc := range cases {
		if _, err := decodeEvent([]byte(tc.body)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
