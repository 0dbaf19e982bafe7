package model_test

import (
	"testing"

	"pairsync/model"
)

// TestRowsOfBefore: a session that was linked before there were requests is read, moved and cancelled like any other.
func TestRowsOfBefore(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.exec(t, `INSERT INTO sessions (tenant, id, status, organizer, starts_at, ends_at, time_zone, title, online_meeting,
			attendees, event_id, state, version)
		VALUES ('t', 's', 'scheduled', 'p-1', now() + interval '1 day', now() + interval '25 hours', 'UTC', 'Mentoring', 'teams',
			'[{"participant": "p-2", "email": "grace@contoso.example", "rsvp": {"response": "none"}}]', 'AAk-s', 'in_sync', 1)`)
	b.exec(t, `INSERT INTO requests (tenant, session, wanted)
		SELECT tenant, id, jsonb_build_object('organizer', 'p-1', 'attendees', jsonb_build_array('p-2'), 'starts_at', starts_at,
			'ends_at', ends_at, 'online_meeting', 'teams', 'event_id', 'AAk-s') FROM sessions`)
	s := b.session(t, "s")
	if s.Request != nil || s.Seen != nil {
		t.Fatalf("session %+v", s)
	}
	if commands, err := b.ClaimCommands(t.Context(), 10, 0); err != nil || len(commands) != 0 {
		t.Errorf("commands %v, %v", commands, err)
	}
	b.settle(t, s)
	r := linkOf("s")
	r.StartsAt, r.EndsAt = tomorrow(14), tomorrow(15)
	if s = b.put(t, r); s.Request == nil || s.Request.Version != 2 || s.Request.Bookings != 1 {
		t.Fatalf("moved by the platform: %+v", s.Request)
	}
	if s = b.apply(t, 2); s.State != model.OutlookInSync {
		t.Errorf("applied: %+v", s)
	}
	if _, err := b.CancelSession(t.Context(), "t", "s", "", modified(3)); err != nil {
		t.Fatal(err)
	}
	if s = b.apply(t, 0); s.State != model.OutlookInSync || !s.Vanished {
		t.Errorf("cancelled: %+v", s)
	}
}
