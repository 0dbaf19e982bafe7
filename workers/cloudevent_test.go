package workers

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

func TestCloudEvent(t *testing.T) {
	t.Parallel()
	body, err := cloudEvent(model.Change{
		ID: "5b6f2c8e-0000-4000-8000-000000000001", Cursor: 42, Tenant: "tenant 1", Session: "s/1", Version: 7,
		Kind: model.KindRescheduled, Source: model.SourceOutlook, Cause: model.CauseNotification,
		Applied:    true,
		Before:     json.RawMessage(`{"starts_at":"2026-12-01T09:00:00Z"}`),
		After:      json.RawMessage(`{"starts_at":"2026-12-01T10:00:00Z"}`),
		OccurredAt: at(8, 0), ReceivedAt: at(8, 1), AppliedAt: at(8, 2),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "id": "5b6f2c8e-0000-4000-8000-000000000001", "source": "pairsync/tenant%201",
		"type": "pairsync.session.rescheduled", "subject": "s/1", "time": "2026-12-01T08:02:00Z",
		"datacontenttype": "application/json", "sequence": "42", "partitionkey": "tenant%201/s%2F1",
		"data": map[string]any{
			"id": "5b6f2c8e-0000-4000-8000-000000000001", "cursor": "42", "tenant": "tenant 1", "session": "s/1",
			"version": 7.0, "kind": "rescheduled", "source": "outlook", "cause": "notification",
			"before": map[string]any{"starts_at": "2026-12-01T09:00:00Z"}, "after": map[string]any{"starts_at": "2026-12-01T10:00:00Z"},
			"applied": true, "participant": nil, "occurred_at": "2026-12-01T08:00:00Z", "received_at": "2026-12-01T08:01:00Z", "applied_at": "2026-12-01T08:02:00Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}
