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
			"outlook": {"event_id": "AAk1", "ical_uid": "uid-1", "change_key": "k1", "last_modified_at": "2030-05-06T07:00:00Z", "state": "in_sync"},
			"version": 4, "verified_at": "2030-05-06T08:00:00Z"
		}`},
		"a session that is not yet read": {
			&model.Session{Tenant: "t", ID: "s", Status: model.SessionScheduled, Organizer: "p-1", StartsAt: at(9, 0), EndsAt: at(9, 30), TimeZone: "UTC", EventID: "AAk1", State: model.OutlookPending, Version: 1},
			`{
			"id": "s", "tenant": "t", "status": "scheduled", "organizer": "p-1",
			"starts_at": "2030-05-06T09:00:00Z", "ends_at": "2030-05-06T09:30:00Z", "time_zone": "UTC",
			"title": null, "online_meeting": null, "join_url": null, "attendees": [],
			"outlook": {"event_id": "AAk1", "ical_uid": null, "change_key": null, "last_modified_at": null, "state": "pending"},
			"version": 1, "verified_at": null
		}`,
		},
		"a change": {
			[]model.Change{{
				ID: "c", Cursor: 42, Tenant: "t", Session: "s", Version: 7, Kind: model.KindRSVPChanged, Source: model.SourceOutlook,
				Cause: model.CauseNotification, After: json.RawMessage(`{"x":1}`), Participant: "p-2", OccurredAt: at(7, 0),
				ReceivedAt: at(7, 1), AppliedAt: at(7, 2).Add(time.Millisecond),
			}},
			`[{
			"id": "c", "cursor": "42", "tenant": "t", "session": "s", "version": 7, "kind": "rsvp_changed", "source": "outlook",
			"cause": "notification", "before": null, "after": {"x": 1}, "participant": "p-2",
			"occurred_at": "2030-05-06T07:00:00Z", "received_at": "2030-05-06T07:01:00Z", "applied_at": "2030-05-06T07:02:00.001Z"
		}]`,
		},
		"a change of nobody": {model.Change{Kind: model.KindCancelled}, `{
			"id": "", "cursor": "0", "tenant": "", "session": "", "version": 0, "kind": "cancelled", "source": "", "cause": "",
			"before": null, "after": null, "participant": null,
			"occurred_at": "0001-01-01T00:00:00Z", "received_at": "0001-01-01T00:00:00Z", "applied_at": "0001-01-01T00:00:00Z"
		}`},
		"a tenant": {
			model.Tenant{ID: "t", Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide, Policy: model.Policy{Cancel: model.PolicyAsk}, Status: model.TenantFailing, StatusReason: "secret_expired"},
			`{
			"id": "t", "name": "Contoso", "owner_email": "it@contoso.example", "method": "domain_wide", "callback_url": null,
			"policy": {"reschedule": "apply", "cancel": "ask"}, "status": "failing", "status_reason": "secret_expired"
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
