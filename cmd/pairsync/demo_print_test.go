package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChangesAreReadableLines(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	c := &cast{
		tenants:  map[string]string{"t": "Contoso"},
		people:   map[[2]string]string{{"t", "ada"}: "Ada Lovelace", {"t", "grace"}: "Grace Hopper"},
		sessions: map[[2]string]castSession{{"t", "s"}: {"ada", "grace", day, day.Add(30 * time.Minute)}},
		zone:     time.UTC,
	}
	change := func(kind string) apiChange {
		return apiChange{
			Tenant: "t", Session: "s", Kind: kind, Source: "outlook", Cause: "notification",
			OccurredAt: day.Add(-time.Hour), AppliedAt: day.Add(-time.Hour + 240*time.Millisecond),
		}
	}
	moved := change("rescheduled")
	moved.Before = apiFields{StartsAt: day, EndsAt: day.Add(30 * time.Minute)}
	moved.After = apiFields{StartsAt: day.Add(25 * time.Hour), EndsAt: day.Add(26 * time.Hour)}
	accepted := change("rsvp_changed")
	accepted.Participant, accepted.After.RSVP.Response = "grace", "accepted"
	proposed := change("time_proposed")
	proposed.Participant = "grace"
	proposed.After.RSVP = apiRSVP{Response: "tentative", ProposedStart: day.Add(49 * time.Hour), ProposedEnd: day.Add(50 * time.Hour)}
	stranger := change("attendee_added")
	stranger.After.Email = "alan@contoso.example"
	byPlatform := change("booked")
	byPlatform.Source, byPlatform.Cause = "platform", "request"

	movedBack := moved
	movedBack.Source, movedBack.Cause = "platform", "request"
	movedBack.Before, movedBack.After = moved.After, moved.Before
	lost := movedBack
	lost.Kind = "superseded"
	waiting := change("change_pending")

	var got []string
	for _, one := range []apiChange{movedBack, lost, waiting, byPlatform, moved, accepted, proposed, stranger, change("cancelled"), change("meeting_link_changed")} {
		got = append(got, c.line(one))
	}
	// The time of the second and later lines is the one that the second line moved the session to.
	want := []string{
		"08:00:00  rescheduled Contoso   the platform moved the session of Ada Lovelace and Grace Hopper: Wed 2 Dec 10:00–11:00 → Tue 1 Dec 09:00–09:30  [request, lag -]",
		"08:00:00  superseded  Contoso   the platform's change of the session of Ada Lovelace and Grace Hopper lost to Outlook's, which is newer: Wed 2 Dec 10:00–11:00 → Tue 1 Dec 09:00–09:30  [request, lag -]",
		"08:00:00  waiting     Contoso   what Ada Lovelace did with the session of Ada Lovelace and Grace Hopper waits for the platform's answer: Tue 1 Dec 09:00–09:30 → off  [notification, lag 0.24 s]",
		"08:00:00  booked      Contoso   Ada Lovelace and Grace Hopper: Tue 1 Dec 09:00–09:30  [request, lag -]",
		"08:00:00  rescheduled Contoso   Ada Lovelace moved the session of Ada Lovelace and Grace Hopper: Tue 1 Dec 09:00–09:30 → Wed 2 Dec 10:00–11:00  [notification, lag 0.24 s]",
		"08:00:00  accepted    Contoso   Grace Hopper answered for Wed 2 Dec 10:00–11:00: none → accepted  [notification, lag 0.24 s]",
		"08:00:00  proposed    Contoso   Grace Hopper proposed another time: Wed 2 Dec 10:00–11:00 → Thu 3 Dec 10:00–11:00  [notification, lag 0.24 s]",
		"08:00:00  invited     Contoso   alan@contoso.example was invited to the session of Ada Lovelace and Grace Hopper  [notification, lag 0.24 s]",
		"08:00:00  cancelled   Contoso   Ada Lovelace cancelled the session of Ada Lovelace and Grace Hopper: Wed 2 Dec 10:00–11:00 → off  [notification, lag 0.24 s]",
		"08:00:00  new link    Contoso   the session of Ada Lovelace and Grace Hopper has another meeting link  [notification, lag 0.24 s]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestEventsAreRead(t *testing.T) {
	t.Parallel()
	const stream = "retry: 1000\n: open\n\nid: 7\nevent: change\ndata: {\"kind\":\"rescheduled\",\ndata: \"session\":\"s\",\"participant\":null}\n\n: heartbeat\n\nid: 8\ndata: {\"kind\":\"cancelled\"}\n\nid: 9\ndata: {\"kind\":\"cut off"
	var kinds []string
	cursor := "5"
	err := readEvents(strings.NewReader(stream), &cursor, func(c apiChange) { kinds = append(kinds, c.Kind+c.Session) })
	if err == nil {
		t.Error("the end of the stream is no error")
	}
	if diff := cmp.Diff([]string{"rescheduleds", "cancelled"}, kinds); diff != "" || cursor != "8" {
		t.Errorf("cursor %s (-want +got):\n%s", cursor, diff)
	}
}

func TestAConnectionTestIsALine(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]string{
		"4 of 4 calendars can be used; notifications reach us": `{"accessible":4,"inaccessible":0,"results":[{"participant":"ada","ok":true,"reason":null}],"door":{"ok":true,"reason":null},"warnings":[]}`,
		"1 of 2 calendars can be used; grace: access_denied; notifications don't reach us: tls_failed; warning: access_beyond_participants": `{"accessible":1,"inaccessible":1,
			"results":[{"participant":"ada","ok":true},{"participant":"grace","ok":false,"reason":"access_denied"}],
			"door":{"ok":false,"reason":"tls_failed"},"warnings":[{"kind":"access_beyond_participants"}]}`,
	} {
		var result apiTest
		if err := json.Unmarshal([]byte(answer), &result); err != nil {
			t.Fatal(err)
		}
		if got := result.line(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
