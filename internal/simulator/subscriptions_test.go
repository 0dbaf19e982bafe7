package simulator

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// wish is a body for a new subscription of Ada's events.
func (o *office) wish(t *testing.T, d *door, more map[string]any) map[string]any {
	t.Helper()
	body := map[string]any{
		"changeType": "created,updated,deleted", "notificationUrl": d.url, "resource": "/users/" + o.id(t, email("Ada")) + "/events",
		"expirationDateTime": time.Now().Add(24 * time.Hour).UTC().Format(graphTime), "clientState": "secret",
	}
	maps.Copy(body, more)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	return body
}

func TestRefusedSubscriptions(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(graphTime) }
	tests := map[string]struct {
		change        map[string]any
		status        int
		code, message string
	}{
		"misspelt property": {map[string]any{"clientSate": "x"}, 400, "InvalidRequest", "spelled and camelCased"},
		"no resource":       {map[string]any{"resource": nil}, 400, "InvalidRequest", "is a required property"},
		"no change type":    {map[string]any{"changeType": nil}, 400, "InvalidRequest", "is a required property"},
		"no expiry":         {map[string]any{"expirationDateTime": nil}, 400, "InvalidRequest", "is a required property"},
		"expiry with an offset": {
			map[string]any{"expirationDateTime": time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05+00:00")}, 400, "InvalidRequest", "expirationDateTime is a required property",
		},
		"too long a life":      {map[string]any{"expirationDateTime": in(10080 * time.Minute)}, 400, "ExtensionError", "Subscription expiration can only be 10070 minutes in the future."},
		"unknown change":       {map[string]any{"changeType": "moved"}, 400, "InvalidRequest", "changeType"},
		"unknown resource":     {map[string]any{"resource": "users/x/mailFolders"}, 400, "ExtensionError", "'Resource' is invalid."},
		"query in resource":    {map[string]any{"resource": "users/x/events?$top=1"}, 400, "ExtensionError", "not supported in subscription resource Url"},
		"unknown person":       {map[string]any{"resource": "users/nobody/events"}, 404, "ExtensionError", "NotFound"},
		"long client state":    {map[string]any{"clientState": strings.Repeat("x", 129)}, 400, "InvalidRequest", "128"},
		"with resource data":   {map[string]any{"includeResourceData": true}, 400, "InvalidRequest", "resource data"},
		"unusable URL":         {map[string]any{"notificationUrl": "ftp://x"}, 400, "InvalidRequest", "not valid"},
		"nobody at that URL":   {map[string]any{"notificationUrl": "http://127.0.0.1:1/"}, 400, "InvalidRequest", "connection was closed"},
		"me without a person":  {map[string]any{"resource": "me/events"}, 400, "ExtensionError", "'Resource' is invalid."},
		"a number as a string": {map[string]any{"resource": 7}, 400, "InvalidRequest", "spelled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := o.graph(t, test.status, http.MethodPost, "/subscriptions", o.wish(t, d, test.change))
			if code(got) != test.code || !strings.Contains(text(t, got, "error", "message"), test.message) {
				t.Errorf("refused with %v, want %s … %s", got, test.code, test.message)
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	o, hurried := newOffice(t, Config{}), newOffice(t, Config{HandshakeTimeout: 100 * time.Millisecond})
	tests := map[string]struct {
		answer  func(w http.ResponseWriter, token string)
		message string
	}{
		"right": {func(w http.ResponseWriter, token string) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, token)
		}, ""},
		"forbidden": {func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusForbidden) }, "HTTP status code is 'Forbidden'."},
		"accepted":  {func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusAccepted) }, "HTTP status code is 'Accepted'."},
		"redirect": {func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusFound)
		}, "HTTP status code is 'Found'."},
		"JSON": {func(w http.ResponseWriter, token string) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `"`+token+`"`)
		}, "text/plain"},
		"still encoded": {func(w http.ResponseWriter, token string) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, strings.ReplaceAll(token, " ", "+"))
		}, "validation token"},
		"too late": {func(w http.ResponseWriter, token string) {
			_ = wait(t.Context(), 300*time.Millisecond)
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, token)
		}, "Subscription validation request timed out."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got *http.Request
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				test.answer(w, r.URL.Query().Get("validationToken"))
			}))
			defer srv.Close()
			o := o
			if name == "too late" {
				o = hurried
			}
			status, body := o.do(t, o.request(t, http.MethodPost, "/subscriptions", o.wish(t, &door{url: srv.URL + "/n?mine=1"}, nil)))
			if test.message == "" {
				if status != http.StatusCreated {
					t.Fatalf("%d %v", status, body)
				}
				if got.URL.Query().Get("mine") != "1" || got.Method != http.MethodPost || got.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("asked by %s %s, %v", got.Method, got.URL, got.Header)
				}
				return
			}
			if status != http.StatusBadRequest || code(body) != "InvalidRequest" || !strings.Contains(text(t, body, "error", "message"), test.message) {
				t.Errorf("%d %v, want %q", status, body, test.message)
			}
		})
	}
}

func TestBothURLsAreTriedAgainOnEachRenewal(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	var tries []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries = append(tries, r.URL.Path)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.URL.Query().Get("validationToken"))
	}))
	defer srv.Close()
	sub := o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, &door{url: srv.URL + "/same"}, map[string]any{"lifecycleNotificationUrl": srv.URL + "/same"}))
	path := "/subscriptions/" + text(t, sub, "id")
	o.graph(t, 200, http.MethodPatch, path, map[string]any{"expirationDateTime": time.Now().Add(48 * time.Hour).UTC().Format(graphTime)})
	o.graph(t, 204, http.MethodPost, path+"/reauthorize", nil)
	if want := slices.Repeat([]string{"/same"}, 6); !slices.Equal(tries, want) {
		t.Errorf("tried %v", tries)
	}
	if n := o.Counters().ConflictingRenewals; n != 1 {
		t.Errorf("%d conflicting renewals, want 1", n)
	}
}

func TestGrantedLife(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cfg         Config
		asked, want time.Duration
	}{
		"as asked":         {Config{}, 5 * time.Hour, 5 * time.Hour},
		"at the ceiling":   {Config{}, 10069 * time.Minute, 10069 * time.Minute},
		"raised to 45 min": {Config{}, time.Minute, 45 * time.Minute},
		"even of the past": {Config{}, -time.Hour, 45 * time.Minute},
		"seconds":          {Config{MinLifetime: -1}, 5 * time.Second, 5 * time.Second},
		"cut short":        {Config{GrantLifetime: 3 * time.Second}, 5 * time.Hour, 3 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, test.cfg)
			sub := o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, newDoor(t), map[string]any{
				"expirationDateTime": time.Now().Add(test.asked).UTC().Format(graphTime),
			}))
			expires, err := time.Parse(graphTime, text(t, sub, "expirationDateTime"))
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Until(expires); got > test.want || got < test.want-3*time.Second {
				t.Errorf("granted %s, want %s", got, test.want)
			}
		})
	}
}

func TestSubscriptionsFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	first := o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, d, nil))
	second := o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, d, nil))
	list := o.graph(t, 200, http.MethodGet, "/subscriptions", nil)["value"].([]any)
	if len(list) != 2 {
		t.Fatalf("%d subscriptions", len(list))
	}
	o.pair(t)
	o.settle(t)
	if n := len(d.all()); n != 2 {
		t.Errorf("%d notifications for two subscriptions", n)
	}
	path := "/subscriptions/" + text(t, first, "id")
	if got := o.graph(t, 200, http.MethodGet, path, nil); got["clientState"] != nil || got["resource"] != first["resource"] {
		t.Errorf("shown as %v", got)
	}
	o.graph(t, 400, http.MethodPatch, path, map[string]any{"changeType": "created"})
	o.graph(t, 204, http.MethodDelete, path, nil)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		o.graph(t, 404, method, path, nil)
	}
	renewal := map[string]any{"expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime)}
	o.graph(t, 404, http.MethodPatch, path, renewal)
	o.graph(t, 404, http.MethodPost, path+"/reauthorize", nil)
	if err := o.RemoveSubscription(text(t, second, "id"), false); err != nil {
		t.Fatal(err)
	}
	o.graph(t, 404, http.MethodPatch, "/subscriptions/"+text(t, second, "id"), renewal)
	o.pair(t)
	o.settle(t)
	if n := len(d.all()); n != 2 {
		t.Errorf("%d notifications, some to subscriptions that are gone", n)
	}
}

func TestDuplicatesCanBeRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Behaviour: Behaviour{RefuseDuplicateSubscriptions: true, RenewalsIgnored: true}})
	d := newDoor(t)
	sub := o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, d, nil))
	refused := o.graph(t, 409, http.MethodPost, "/subscriptions", o.wish(t, d, nil))
	if want := "Subscription Id " + text(t, sub, "id") + " already exists for the requested combination"; text(t, refused, "error", "message") != want {
		t.Errorf("refused with %v", refused)
	}
	o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, d, map[string]any{"changeType": "created"}))
	got := o.graph(t, 200, http.MethodPatch, "/subscriptions/"+text(t, sub, "id"), map[string]any{
		"expirationDateTime": time.Now().Add(100 * time.Hour).UTC().Format(graphTime),
	})
	if got["expirationDateTime"] != sub["expirationDateTime"] {
		t.Errorf("a renewal to be ignored gave %v", got["expirationDateTime"])
	}
}

func TestNotificationsHaveTheIDsThatTheSubscriptionAskedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	plain, lasting := newDoor(t), newDoor(t)
	o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, plain, nil))
	o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, lasting, map[string]any{"changeType": "deleted"}), immutable())
	b := o.pair(t)
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	o.settle(t)
	if got := text(t, plain.all()[0], "resourceData", "id"); got != b.DefaultID {
		t.Errorf("default format: %s", got)
	}
	items := lasting.all()
	if len(items) != 1 || text(t, items[0], "resourceData", "id") != b.ID || items[0]["changeType"] != changeDeleted {
		t.Errorf("immutable format: %v", items)
	}
}

func TestSubscriptionsAreListedInPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	for range 130 {
		o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, d, nil))
	}
	first := o.graph(t, 200, http.MethodGet, "/subscriptions", nil)
	next := strings.TrimPrefix(text(t, first, "@odata.nextLink"), o.url+"/v1.0")
	second := o.graph(t, 200, http.MethodGet, next, nil)
	if n := len(first["value"].([]any)) + len(second["value"].([]any)); n != 130 || second["@odata.nextLink"] != nil {
		t.Errorf("%d subscriptions on two pages, next %v", n, second["@odata.nextLink"])
	}
}
