package model_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"pairsync/model"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	full := stored()
	full.Title, full.OnlineMeeting = "Mentoring: Ada and Grace", "teams"
	full.Attendees[0].RSVP = accepted(at(7, 0))
	full.Attendees = append(full.Attendees, model.Attendee{Email: "eve@fabrikam.example", RSVP: noAnswer})
	for name, tt := range map[string]struct {
		value any
		want  string
	}{
		"a session": {full, `{
			"id": "s", "tenant": "t", "status": "scheduled", "organizer": "p-1",
			"starts_at": "2030-05-06T09:00:00Z", "ends_at": "2030-05-06T09:30:00Z", "time_zone": "Europe/Berlin",
			"title": "Mentoring: Ada and Grace", "online_meeting": "teams", "join_url": "https://teams.example/1",
			"attendees": [
				{"participant": "p-2", "email": "grace@contoso.example",
				 "rsvp": {"response": "accepted", "responded_at": "2030-05-06T07:00:00Z", "proposed_start": null, "proposed_end": null}},
				{"participant": null, "email": "eve@fabrikam.example",
				 "rsvp": {"response": "none", "responded_at": null, "proposed_start": null, "proposed_end": null}}
			],
			"outlook": {"event_id": "AAk1", "ical_uid": "uid-1", "change_key": "k1", "last_modified_at": "2030-05-06T07:00:00Z", "state": "in_sync", "reason": null},
			"version": 4, "verified_at": "2030-05-06T08:00:00Z"
		}`},
		"a session that is not yet read": {
			&model.Session{Tenant: "t", ID: "s", Status: model.SessionScheduled, Organizer: "p-1", StartsAt: at(9, 0), EndsAt: at(9, 30), TimeZone: "UTC", EventID: "AAk1", State: model.OutlookPending, Version: 1},
			`{
			"id": "s", "tenant": "t", "status": "scheduled", "organizer": "p-1",
			"starts_at": "2030-05-06T09:00:00Z", "ends_at": "2030-05-06T09:30:00Z", "time_zone": "UTC",
			"title": null, "online_meeting": null, "join_url": null, "attendees": [],
			"outlook": {"event_id": "AAk1", "ical_uid": null, "change_key": null, "last_modified_at": null, "state": "pending", "reason": null},
			"version": 1, "verified_at": null
		}`,
		},
		"a change": {
			[]model.Change{{
				ID: "c", Cursor: 42, Tenant: "t", Session: "s", Version: 7, Kind: model.KindRSVPChanged, Source: model.SourceOutlook,
				Cause: model.CauseNotification, After: json.RawMessage(`{"x":1}`), Participant: "p-2", OccurredAt: at(7, 0),
				ReceivedAt: at(7, 1), AppliedAt: at(7, 2).Add(time.Millisecond), Applied: true,
			}},
			`[{
			"id": "c", "cursor": "42", "tenant": "t", "session": "s", "version": 7, "kind": "rsvp_changed", "source": "outlook",
			"cause": "notification", "before": null, "after": {"x": 1}, "participant": "p-2",
			"occurred_at": "2030-05-06T07:00:00Z", "received_at": "2030-05-06T07:01:00Z", "applied_at": "2030-05-06T07:02:00.001Z", "applied": true
		}]`,
		},
		"a change of nobody": {model.Change{Kind: model.KindCancelled}, `{
			"id": "", "cursor": "0", "tenant": "", "session": "", "version": 0, "kind": "cancelled", "source": "", "cause": "",
			"before": null, "after": null, "participant": null,
			"occurred_at": "0001-01-01T00:00:00Z", "received_at": "0001-01-01T00:00:00Z", "applied_at": "0001-01-01T00:00:00Z", "applied": false
		}`},
		"a tenant": {
			model.Tenant{ID: "t", Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide, Policy: model.Policy{Cancel: model.PolicyAsk}, Status: model.TenantFailing, StatusReason: "secret_expired"},
			`{
			"id": "t", "name": "Contoso", "owner_email": "it@contoso.example", "method": "domain_wide", "callback_url": null,
			"policy": {"reschedule": "apply", "cancel": "ask"}, "status": "failing", "status_reason": "secret_expired", "callback": null
		}`,
		},
		"a tenant with callbacks": {
			model.Tenant{ID: "t", Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodPerUser, CallbackURL: "https://platform.example/hook", Status: model.TenantConnected, Callback: &model.Callback{Status: model.CallbackPaused, Reason: "status_500", Queued: 7}},
			`{
			"id": "t", "name": "Contoso", "owner_email": "it@contoso.example", "method": "per_user", "callback_url": "https://platform.example/hook",
			"policy": {"reschedule": "apply", "cancel": "apply"}, "status": "connected", "status_reason": null,
			"callback": {"status": "paused", "reason": "status_500", "queued": 7}
		}`,
		},
		"a pending change": {
			model.Pending{ID: "p", Number: 3, Tenant: "t", Session: "s", Kind: model.KindCancelled, Status: model.PendingApplied, Before: json.RawMessage(`{"status":"scheduled"}`), After: json.RawMessage(`{"status":"cancelled"}`), OccurredAt: at(7, 0), ReceivedAt: at(7, 1), AnsweredAt: new(at(7, 2))},
			`{
			"id": "p", "tenant": "t", "session": "s", "kind": "cancelled", "status": "applied",
			"before": {"status": "scheduled"}, "after": {"status": "cancelled"},
			"occurred_at": "2030-05-06T07:00:00Z", "received_at": "2030-05-06T07:01:00Z", "answered_at": "2030-05-06T07:02:00Z"
		}`,
		},
		"an integration request": {
			model.IntegrationRequest{ID: "r", Tenant: "t", Participant: "p-1", Status: model.IntegrationOpen, Message: "Please", CreatedAt: at(7, 0)},
			`{
			"id": "r", "tenant": "t", "participant": "p-1", "status": "open", "note": "Please", "answer": null,
			"created_at": "2030-05-06T07:00:00Z", "answered_at": null
		}`,
		},
		"an incident": {
			model.Incident{ID: 4, Tenant: "t", Scope: model.ScopeTenant, Status: "failing", Reason: "consent_missing", OpenedAt: at(7, 0)},
			`{
			"id": "4", "tenant": "t", "scope": "tenant", "participant": null, "status": "failing", "reason": "consent_missing",
			"opened_at": "2030-05-06T07:00:00Z", "closed_at": null
		}`,
		},
		"a participant": {
			model.Participant{
				Tenant: "t", ID: "p-1", Email: "ada@contoso.example", Name: "Ada", MailboxStatus: model.MailboxOK,
				Availability: []model.Availability{{Days: []string{"monday"}, From: "09:00", To: "12:00", TimeZone: "UTC"}},
				Subscription: &model.SubscriptionSummary{ID: "g", ExpiresAt: at(9, 0)},
			},
			`{
			"id": "p-1", "tenant": "t", "email": "ada@contoso.example", "name": "Ada",
			"availability": [{"days": ["monday"], "from": "09:00", "to": "12:00", "time_zone": "UTC"}],
			"mailbox": {"status": "ok", "reason": null, "subscription": {"id": "g", "expires_at": "2030-05-06T09:00:00Z"}}
		}`,
		},
		"a participant of whom little is known": {
			model.Participant{Tenant: "t", ID: "p-1", Email: "ada@contoso.example", MailboxStatus: model.MailboxUnreachable, MailboxReason: "access_denied"},
			`{
			"id": "p-1", "tenant": "t", "email": "ada@contoso.example", "name": null, "availability": [],
			"mailbox": {"status": "unreachable", "reason": "access_denied", "subscription": null}
		}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.value)
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if err := json.Compact(&want, []byte(tt.want)); err != nil {
				t.Fatal(err)
			}
			equal(t, "JSON", string(got), want.String())
		})
	}
}
