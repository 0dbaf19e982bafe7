package console_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// oddValues are what a body may hold in any place.
func oddValues() []any {
	return []any{
		nil, true, false, 0, -1, 1e300, "", " ", "p-1", "p-2", "p-9", "teams", "none", "apply", "ask", "domain_wide", "UTC", "Europe/Berlin", "Local",
		"monday", "09:00", "24:00", "2099-12-01T09:00:00Z", "2099-12-01T09:30:00+00:00", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
		"2099-12-01t09:00:00z", "2099-12-01T09:00:60Z", "ada@contoso.example", "\"a b\"@contoso.example", "ada@[127.0.0.1]", "é@é.example",
		"\x00", "\u2028", "\ufffd", "😀", "https://x.example/", "https://[::1", "'; DROP TABLE sessions; --", "%s%n",
		[]any{},
		[]any{"p-2"},
		[]any{nil},
		[]any{[]any{}},
		map[string]any{},
		map[string]any{"event_id": "e"},
		map[string]any{"event_id": nil},
	}
}

// oddBody draws a good body with some of its members taken away, replaced or added.
func oddBody(t *rapid.T, good map[string]any) []byte {
	names := []string{"", "id", "outlook", "attendees", "Name"}
	for name := range good {
		names = append(names, name)
	}
	body := map[string]any{}
	maps.Copy(body, good)
	for range rapid.IntRange(0, 3).Draw(t, "edits") {
		name := rapid.SampledFrom(names).Draw(t, "name")
		switch rapid.IntRange(0, 3).Draw(t, "edit") {
		case 0:
			delete(body, name)
		case 1:
			body[name] = rapid.String().Draw(t, "string")
		default:
			body[name] = rapid.SampledFrom(oddValues()).Draw(t, "value")
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 9).Draw(t, "whole") == 0 && len(raw) > 2 {
		i := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw[i] = rapid.Byte().Draw(t, "byte")
	}
	return raw
}

// TestOddBodies puts bodies that are slightly wrong, or odd and right. None may make the API fail, every answer is as described,
// and so is every body that is taken.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	window := map[string]any{"days": []any{"monday"}, "from": "09:00", "to": "17:00", "time_zone": "UTC"}
	for name, tc := range map[string]struct {
		method, path, schema string
		good                 map[string]any
	}{
		"tenant": {"PUT", tenantPath(adaTenant), "TenantInput", map[string]any{
			"name": "Contoso", "owner_email": "o@contoso.example", "method": "domain_wide", "callback_url": "https://x.example/", "policy": map[string]any{"cancel": "ask"},
		}},
		"participant": {"PUT", participantPath(adaTenant, "p-odd"), "ParticipantInput", map[string]any{
			"email": "a@contoso.example", "name": "Ada", "availability": []any{window},
		}},
		"session": {"PUT", "", "SessionInput", map[string]any{
			"organizer": "p-1", "attendees": []any{"p-2"}, "starts_at": "2099-12-01T09:00:00Z", "ends_at": "2099-12-01T09:30:00Z",
			"time_zone": "UTC", "title": "T", "online_meeting": "teams", "outlook": map[string]any{"event_id": "event"}, "version": 1,
		}},
		"integration request": {"POST", tenantPath(adaTenant) + "/integration-requests", "IntegrationRequestInput", map[string]any{
			"participant": "p-1", "note": "Please",
		}},
		"connection test": {"POST", tenantPath(adaTenant) + "/test", "ConnectionTestInput", map[string]any{"sample": 1, "participants": []any{"p-1"}}},
		"cancellation":    {"POST", sessionPath(adaTenant, "s-1") + "/cancel", "CancelInput", map[string]any{"comment": "Sorry"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				body, path := oddBody(rt, tc.good), tc.path
				if path == "" {
					n++
					path = sessionPath(adaTenant, fmt.Sprintf("s-%d", n))
				}
				res := a.request(tc.method, path, allToken, string(body))
				if res.status >= 500 {
					rt.Fatalf("%s answers %d: %s", body, res.status, res.body)
				}
				if res.status < 300 {
					if err := a.description.validate(t, body, "components", "schemas", tc.schema); err != nil {
						rt.Fatalf("%s is taken and not as described: %v", body, err)
					}
				}
			})
		})
	}
}
