package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pairsync/internal/simulator"
)

// site is everything around a serving process in a test: an Outlook, addresses and variables.
type site struct {
	outlook  *outlook
	env      map[string]string
	webhook  string
	ops      string
	api      *apiClient
	sessions []demoSession
}

// newSite starts a simulator, with what set changes about it, and makes the variables of a process with all roles.
func newSite(t *testing.T, set ...func(*simulator.Config)) *site {
	t.Helper()
	app := simulator.App{ClientID: demoClientID, Secret: "the-clients-secret"}
	cfg := simulator.Config{Apps: []simulator.App{app}, TimeScale: 60}
	for _, change := range set {
		change(&cfg)
	}
	sim, err := simulator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s := &site{outlook: &outlook{sim}, webhook: freeAddr(t), ops: freeAddr(t)}
	if s.sessions, err = furnish(s.outlook, time.Now()); err != nil {
		t.Fatal(err)
	}
	console := freeAddr(t)
	s.env = map[string]string{
		"PAIRSYNC_AUTHORITY_URL": server.URL, "PAIRSYNC_GRAPH_URL": server.URL + "/v1.0",
		"PAIRSYNC_CLIENT_ID": app.ClientID, "PAIRSYNC_CLIENT_SECRET": app.Secret,
		"PAIRSYNC_PUBLIC_URL": "http://" + s.webhook, "PAIRSYNC_DATA_DIR": dataDir(t),
		"PAIRSYNC_WEBHOOK_ADDR": s.webhook, "PAIRSYNC_CONSOLE_ADDR": console, "PAIRSYNC_OPS_ADDR": s.ops,
		"PAIRSYNC_SECRET_KEYS": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=", "PAIRSYNC_API_TOKENS": "test:swordfish",
	}
	s.api = newAPIClient("http://"+console+"/v1", "swordfish")
	t.Cleanup(s.api.close)
	return s
}

// missing asks /readyz what is missing; nothing is, when it is ready.
func (s *site) missing(ctx context.Context, t *testing.T) (names []string, err error) {
	t.Helper()
	status, body, err := ask(ctx, t, "http://"+s.ops+"/readyz")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Ready   bool
		Missing []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	if answer.Ready != (status == http.StatusOK) || answer.Ready != (len(answer.Missing) == 0) {
		return nil, fmt.Errorf("answered %d %s", status, body)
	}
	for _, m := range answer.Missing {
		names = append(names, m.Name)
	}
	return names, nil
}

// ready waits until nothing is missing.
func (s *site) ready(t *testing.T) {
	t.Helper()
	within(t, "readiness", func(ctx context.Context) (bool, error) {
		names, err := s.missing(ctx, t)
		return err == nil && len(names) == 0, err
	})
}

// link tells pairsync of the first organisation and its first pair's session, which it calls s-1.
func (s *site) link(t *testing.T) (tenant string, session demoSession) {
	t.Helper()
	org := organisations()[0]
	pair := org.pairs[0]
	tenant, session = "/tenants/"+org.tenant, s.sessions[0]
	seen, err := s.outlook.sim.Event(session.EventID)
	if err != nil {
		t.Fatal(err)
	}
	for _, put := range []struct {
		path string
		body any
	}{
		{tenant, map[string]string{"name": org.name, "owner_email": "it@contoso.example", "method": "domain_wide"}},
		{tenant + "/participants/" + pair.mentor.id, map[string]string{"email": pair.mentor.email}},
		{tenant + "/participants/" + pair.mentee.id, map[string]string{"email": pair.mentee.email}},
		{tenant + "/sessions/s-1", map[string]any{
			"organizer": pair.mentor.id, "attendees": []string{pair.mentee.id}, "starts_at": seen.Start, "ends_at": seen.End,
			"time_zone": org.zone, "outlook": map[string]string{"event_id": session.EventID},
		}},
	} {
		if err := s.api.do(t.Context(), http.MethodPut, put.path, put.body, nil); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the subscription", func(context.Context) (bool, error) { return len(s.outlook.sim.Subscriptions()) > 0, nil })
	return tenant, session
}

// follows waits until the session begins when it should.
func (s *site) follows(t *testing.T, tenant string, want time.Time) {
	t.Helper()
	within(t, "the session to follow Outlook", func(ctx context.Context) (bool, error) {
		var have apiSession
		err := s.api.do(ctx, http.MethodGet, tenant+"/sessions/s-1", nil, &have)
		return have.StartsAt.Equal(want), err
	})
}

// hasContractMetrics scrapes the process and looks for every metric of the contract, and for people among the labels.
func (s *site) hasContractMetrics(t *testing.T) {
	t.Helper()
	_, body, err := ask(t.Context(), t, "http://"+s.ops+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(`sync_lag_seconds_bucket delivery_lag_seconds_bucket processing_lag_seconds_bucket
		notifications_total{result="accepted"} notifications_total{result="duplicate"} notifications_total{result="bad_client_state"}
		notifications_total{result="malformed"} notifications_total{result="unavailable"} lifecycle_notifications_total{event="missed"}
		reconciles_total{outcome="changed"} reconciles_total{outcome="unchanged"} reconciles_total{outcome="unrelated"}
		reconciles_total{outcome="stale"} reconciles_total{outcome="retried"} reconciles_total{outcome="dead"}
		changes_total{cause="notification",kind="rescheduled",source="outlook"}
		sync_lag_seconds_bucket{cause="notification",kind="rescheduled",le="30"} delivery_lag_seconds_bucket{le="30"}
		processing_lag_seconds_bucket{le="30"} queue_pending{consumer="reconcile",stream="PAIRSYNC_NOTIFICATIONS"}
		queue_pending{consumer="apply",stream="PAIRSYNC_COMMANDS"} queue_oldest_seconds{consumer="reconcile",stream="PAIRSYNC_NOTIFICATIONS"}
		lifecycle_notifications_total{event="subscriptionRemoved"} lifecycle_notifications_total{event="reauthorizationRequired"}
		webhook_request_seconds_bucket{code="202",le="1"} webhook_request_seconds_bucket{code="202",le="3"}
		webhook_request_seconds_bucket{code="202",le="10"} deadletters outbox_pending outbox_oldest_seconds
		subscriptions{state="active"} subscriptions{state="pending"} subscriptions{state="expired"} subscriptions{state="failing"}
		subscription_expiry_seconds subscription_renewals_total{result="created"} subscription_renewals_total{result="renewed"} mailboxes{status="ok"} mailboxes{status="unreachable"} mailboxes{status="needs_sign_in"} mailboxes{status="unknown"}
		tenants{status="connected"} tenants{status="failing"} tenants{status="pending_consent"} tenants{status="disconnected"} graph_requests_total{code="200",operation="get_event"}
		graph_request_seconds_bucket{code="200",operation="get_event", graph_throttled_total{operation="get_event"}
		sweep_verified_total sweep_drift_total build_info{`) {
		if !strings.Contains(body, "\npairsync_"+name) {
			t.Errorf("/metrics has no pairsync_%s", name)
		}
	}
	for _, org := range organisations() {
		for _, secret := range []string{org.tenant, org.domain, s.sessions[0].EventID, "s-1"} {
			if strings.Contains(body, secret) {
				t.Errorf("%q stands in /metrics", secret)
			}
		}
	}
}
