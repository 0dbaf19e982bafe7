package simulator

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// control calls the JSON API and decodes the answer into out, when there is one to decode.
func (o *office) control(t *testing.T, want int, method, path string, body, out any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, o.url+"/simulator"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, resp.StatusCode, got, want)
	}
	if out != nil {
		if err := json.Unmarshal(got, out); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, got, err)
		}
	}
}

func TestEverythingByTheControlAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	var tenant Tenant
	o.control(t, 200, "POST", "/tenants", map[string]any{"name": "Fabrikam", "domain": "fabrikam.example"}, &tenant)
	var ed, flo User
	o.control(t, 200, "POST", "/users", map[string]any{"tenant": tenant.ID, "name": "Ed", "email": "ed@fabrikam.example"}, &ed)
	o.control(t, 200, "POST", "/users", map[string]any{"tenant": "fabrikam.example", "name": "Flo", "email": "flo@fabrikam.example", "time_zone": "GMT Standard Time"}, &flo)
	var users []User
	o.control(t, 200, "GET", "/tenants/"+tenant.ID+"/users", nil, &users)
	if len(users) != 2 || users[1] != flo || flo.TimeZone != "GMT Standard Time" {
		t.Errorf("users %+v", users)
	}
	o.subscribe(t, d, email("Ada"), immutable())
	var b Booked
	o.control(t, 200, "POST", "/meetings", map[string]any{
		"organizer": email("Ada"), "attendees": []string{email("Grace")}, "subject": "By control", "start": monday(), "end": monday().Add(time.Hour),
	}, &b)
	for _, a := range []map[string]any{
		{"do": "move", "person": email("Ada"), "start": monday().Add(time.Hour), "end": monday().Add(2 * time.Hour)},
		{"do": "accept", "person": email("Grace")},
		{"do": "tentative", "person": email("Grace")},
		{"do": "propose", "person": email("Grace"), "start": monday().Add(4 * time.Hour), "end": monday().Add(5 * time.Hour)},
		{"do": "add_attendee", "email": email("Alan")},
		{"do": "remove_attendee", "email": email("Alan")},
		{"do": "new_link"},
		{"do": "touch", "person": email("Ada")},
		{"do": "decline", "person": email("Grace"), "unsent": true},
		{"do": "cancel"},
		{"do": "restore", "person": email("Ada")},
		{"do": "delete", "person": email("Ada")},
	} {
		a["event"] = b.ID
		o.control(t, 204, "POST", "/act", a, nil)
	}
	o.settle(t)
	var deliveries []Delivery
	o.control(t, 200, "GET", "/deliveries?limit=3", nil, &deliveries)
	if len(deliveries) != 3 || deliveries[0].Fate != fateDelivered || deliveries[0].Change != changeDeleted || deliveries[0].Event != b.ID {
		t.Errorf("deliveries %+v", deliveries)
	}
	var shown struct {
		Event View
		Reads int
	}
	o.control(t, 200, "GET", "/events/"+b.ID, nil, &shown)
	if !shown.Event.Deleted || shown.Event.Subject != "By control" || shown.Reads != 0 {
		t.Errorf("event %+v", shown)
	}
	var counters Counters
	o.control(t, 200, "GET", "/counters", nil, &counters)
	if counters.Subscriptions != 1 || counters.Delivered == 0 || counters.Calls["create_subscription"] != 1 {
		t.Errorf("counters %+v", counters)
	}
	var events []View
	o.control(t, 200, "GET", "/users/"+email("Grace")+"/events?from="+url.QueryEscape(monday().Format(time.RFC3339)), nil, &events)
	o.control(t, 400, "GET", "/users/"+email("Grace")+"/events?from=soon", nil, nil)
}

func TestMisbehaviourByTheControlAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	sub := text(t, o.subscribe(t, d, email("Ada")), "id")
	var b Behaviour
	o.control(t, 200, "PUT", "/behaviour", map[string]any{"stale_reads": "1m30s", "drop_notifications": 0.5}, &b)
	if b.StaleReads.Duration != 90*time.Second || o.Behaviour() != b {
		t.Errorf("behaviour %+v", b)
	}
	o.control(t, 400, "PUT", "/behaviour", map[string]any{"stale_reads": "soon"}, nil)
	o.control(t, 400, "PUT", "/behaviour", map[string]any{"stail_reads": "1s"}, nil)
	o.control(t, 200, "PUT", "/behaviour", map[string]any{}, &b)
	var id struct{ ID int }
	o.control(t, 200, "POST", "/faults", map[string]any{"operation": "get_user", "status": 503, "latency": "1ms"}, &id)
	o.graph(t, 503, "GET", "/users/"+email("Ada"), nil)
	var faults []Fault
	o.control(t, 200, "GET", "/faults", nil, &faults)
	if len(faults) != 1 || faults[0].ID != id.ID || faults[0].Hits != 1 {
		t.Errorf("faults %+v", faults)
	}
	o.control(t, 204, "DELETE", "/faults/1", nil, nil)
	o.control(t, 404, "DELETE", "/faults/x", nil, nil)
	o.control(t, 204, "DELETE", "/faults", nil, nil)
	o.control(t, 204, "PUT", "/users/"+email("Ada")+"/mailbox", map[string]any{"kind": "not_enabled"}, nil)
	o.graph(t, 404, "GET", o.events(t, "Ada"), nil)
	o.control(t, 204, "PUT", "/users/"+email("Ada")+"/mailbox", map[string]any{"kind": "ok"}, nil)
	o.control(t, 204, "PUT", "/tenants/"+contoso+"/consent", map[string]any{"consent": "withdrawn"}, nil)
	o.graph(t, 403, "GET", o.events(t, "Ada"), nil)
	o.control(t, 204, "POST", "/subscriptions/"+sub+"/lifecycle", map[string]any{"event": "missed"}, nil)
	o.control(t, 204, "DELETE", "/subscriptions/"+sub+"?tell=true", nil, nil)
	o.control(t, 404, "DELETE", "/subscriptions/"+sub, nil, nil)
	var subs []SubscriptionView
	o.control(t, 200, "GET", "/subscriptions", nil, &subs)
	if len(subs) != 0 {
		t.Errorf("subscriptions %+v", subs)
	}
	o.settle(t)
	var heard []string
	for _, it := range d.all() {
		heard = append(heard, text(t, it, "lifecycleEvent"))
	}
	slices.Sort(heard) // They were on their way at the same time.
	if len(heard) != 2 || heard[0] != lifecycleMissed || heard[1] != lifecycleRemoved {
		t.Errorf("heard %v", heard)
	}
}

func TestControlRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	o.control(t, 400, "POST", "/act", map[string]any{"do": "fly", "event": b.ID}, nil)
	o.control(t, 404, "POST", "/act", map[string]any{"do": "cancel", "event": "nope"}, nil)
	o.control(t, 409, "POST", "/act", map[string]any{"do": "cancel", "event": b.ID, "person": email("Grace")}, nil)
	o.control(t, 409, "POST", "/act", map[string]any{"do": "accept", "event": b.ID, "person": email("Ada")}, nil)
	o.control(t, 404, "GET", "/tenants/nope/users", nil, nil)
	o.control(t, 404, "GET", "/events/nope", nil, nil)
	// A form of another site can't send JSON without being asked first.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/simulator/act", strings.NewReader(`{"do":"cancel","event":"`+b.ID+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	if status, _ := o.do(t, req); status != http.StatusUnsupportedMediaType {
		t.Errorf("a form was answered %d", status)
	}
}

func TestFeedTellsOfChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+"/simulator/feed", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := o.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	next := func() {
		for lines.Scan() {
			if lines.Text() == "event: change" {
				return
			}
		}
		t.Fatal("the feed ended:", lines.Err())
	}
	next()
	o.pair(t)
	next()
}

func TestPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	for path, kind := range map[string]string{"/": "text/html", "/page/app.js": "text/javascript", "/page/connection.js": "text/javascript", "/page/app.css": "text/css"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := o.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) < 1000 || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %d bytes of %s, %v", path, resp.StatusCode, len(body), resp.Header.Get("Content-Type"), err)
		}
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no strict policy", path)
		}
	}
}
