package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// shared is the folder beside the repository with Microsoft's published payloads and the cut of its description; empty when
// it is not there.
func shared() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			found := filepath.Join(filepath.Dir(dir), "shared")
			if _, missing := os.Stat(filepath.Join(found, "fixtures")); missing == nil {
				return found
			}
			return ""
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

func needShared(t *testing.T) string {
	t.Helper()
	dir := shared()
	if dir == "" {
		t.Skip("the folder ../shared with Microsoft's published payloads is not here")
	}
	return dir
}

var description = sync.OnceValues(func() (routers.Router, error) {
	dir := shared()
	if dir == "" {
		return nil, nil
	}
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(dir, "graph-openapi-cut.yaml"))
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// conforming holds every Graph call that goes through it against Microsoft's own description: answers always, requests when
// they were not refused. Without the description it only passes on.
type conforming struct {
	t    *testing.T
	next *http.Transport
}

func (c conforming) CloseIdleConnections() { c.next.CloseIdleConnections() }

func (c conforming) RoundTrip(req *http.Request) (*http.Response, error) {
	router, err := description()
	if err != nil {
		return nil, err
	}
	path, isGraph := strings.CutPrefix(req.URL.EscapedPath(), "/v1.0")
	if router == nil || !isGraph {
		return c.next.RoundTrip(req)
	}
	var sent []byte
	if req.Body != nil {
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if after, ok := strings.CutPrefix(path, "/me"); ok {
		path = "/users/me" + after
	}
	u, err := url.Parse("https://graph.microsoft.com/v1.0" + path)
	if err != nil {
		return nil, err
	}
	u.RawQuery = req.URL.RawQuery
	asked := &http.Request{Method: req.Method, URL: u, Header: req.Header.Clone(), Body: io.NopCloser(bytes.NewReader(sent)), Host: u.Host}
	c.check(router, asked.WithContext(req.Context()), resp, got)
	return resp, nil
}

func (c conforming) check(router routers.Router, asked *http.Request, resp *http.Response, got []byte) {
	route, params, err := router.FindRoute(asked)
	if err != nil {
		return // Outside the cut.
	}
	in := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if resp.StatusCode < 400 && asked.Header.Get("Content-Encoding") == "" {
		if err := openapi3filter.ValidateRequest(asked.Context(), in); err != nil {
			c.t.Errorf("%s %s was answered %d, but is no request of Microsoft's description: %v", asked.Method, asked.URL.Path, resp.StatusCode, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options, Body: io.NopCloser(bytes.NewReader(got)),
	}
	if err := openapi3filter.ValidateResponse(asked.Context(), out); err != nil {
		c.t.Errorf("%s %s: the answer %d is not Microsoft's: %v\n%s", asked.Method, asked.URL.Path, resp.StatusCode, err, got)
	}
}

// shapeOf notes the JSON type of every property below a value by its path; arrays are [].
func shapeOf(v any, path string, out map[string]map[string]bool) {
	kind := fmt.Sprintf("%T", v)
	if out[path] == nil {
		out[path] = map[string]bool{}
	}
	out[path][kind] = true
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			shapeOf(child, path+"."+name, out)
		}
	case []any:
		for _, child := range v {
			shapeOf(child, path+"[]", out)
		}
	}
}

// published reads fixtures whose name begins with one of the prefixes; those that are no strict JSON are left out.
func published(t *testing.T, prefixes ...string) map[string]map[string]bool {
	t.Helper()
	dir := filepath.Join(needShared(t), "fixtures")
	shape := map[string]map[string]bool{}
	n := 0
	for _, prefix := range prefixes {
		files, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var v any
			if json.Unmarshal(b, &v) == nil {
				shapeOf(v, "", shape)
				n++
			}
		}
	}
	if n == 0 {
		t.Fatalf("no payload begins with %v", prefixes)
	}
	return shape
}

// sameShape wants every property of one side on the other with a common type, but those excused with a reason.
func sameShape(t *testing.T, ours, theirs map[string]map[string]bool, excused map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		if excused[path] != "" {
			continue
		}
		if theirs[path] == nil {
			t.Errorf("we answer %s, which is not published", path)
			continue
		}
		if !overlap(ours[path], theirs[path]) {
			t.Errorf("%s is %v here and %v as published", path, ours[path], theirs[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(theirs)) {
		if ours[path] == nil && excused[path] == "" {
			t.Errorf("%s is published, but we don't answer it", path)
		}
	}
}

// overlap compares sets of types; null goes with everything.
func overlap(a, b map[string]bool) bool {
	if len(a) == 1 && a["<nil>"] || len(b) == 1 && b["<nil>"] {
		return true
	}
	for k := range a {
		if k != "<nil>" && b[k] {
			return true
		}
	}
	return false
}

func TestEventsHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	theirs := published(t, "event-created-transactionid", "event-get-select", "event-organizer-", "event-teams-online", "event-onlinemeeting")
	o := newOffice(t, Config{})
	mailbox := "/users/" + o.id(t, email("Ada")) + "/events"
	created := o.graph(t, http.StatusCreated, http.MethodPost, mailbox, map[string]any{
		"subject": "Lunch", "body": map[string]any{"contentType": "html", "content": "<p>Does noon work for you?</p>"},
		"start":    map[string]any{"dateTime": "2031-04-15T12:00:00", "timeZone": "Pacific Standard Time"},
		"end":      map[string]any{"dateTime": "2031-04-15T14:00:00", "timeZone": "Pacific Standard Time"},
		"location": map[string]any{"displayName": "Harry's Bar"}, "isOnlineMeeting": true, "onlineMeetingProvider": "teamsForBusiness",
		"attendees": []any{
			map[string]any{"emailAddress": map[string]any{"address": email("Grace"), "name": "Grace"}, "type": "required"},
		},
		"allowNewTimeProposals": true, "transactionId": "7E163156-7762-4BEB-A1C6-729EA81755A7", "categories": []string{"x"},
	}, with("Prefer", `outlook.timezone="Pacific Standard Time"`))
	ours := map[string]map[string]bool{}
	shapeOf(created, "", ours)
	id := text(t, created, "id")
	if err := o.Propose(email("Grace"), id, time.Date(2031, 4, 16, 9, 0, 0, 0, time.UTC), time.Date(2031, 4, 16, 10, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	shapeOf(o.graph(t, http.StatusOK, http.MethodGet, mailbox+"/"+url.PathEscape(id), nil), "", ours)
	sameShape(t, ours, theirs, map[string]string{
		".occurrenceId":                  "newer than these samples",
		".uid":                           "in newer samples and beta only, and not in Microsoft's description of v1.0",
		".categories[]":                  "the samples have none",
		".onlineMeeting.phones":          "we give no phone numbers",
		".onlineMeeting.quickDial":       "we give no phone numbers",
		".onlineMeeting.phones[]":        "we give no phone numbers",
		".onlineMeeting.phones[].number": "we give no phone numbers", ".onlineMeeting.phones[].type": "we give no phone numbers",
		".onlineMeeting.tollFreeNumbers": "we give no phone numbers",
	})
	if got := text(t, created, "start", "dateTime"); got != "2031-04-15T12:00:00.0000000" {
		t.Errorf("start %q", got)
	}
}

func TestSeriesMasterHasThePublishedShape(t *testing.T) {
	t.Parallel()
	theirs := published(t, "event-seriesmaster")
	o := newOffice(t, Config{})
	b := o.series(t)
	if err := o.Cancel(b.Instances[1].ID); err != nil {
		t.Fatal(err)
	}
	at := b.Instances[2].OriginalStart.Add(time.Hour)
	if err := o.Move(b.Instances[2].ID, at, at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	got := o.graph(t, http.StatusOK, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID+
		"?$select=iCalUId,subject,start,end,occurrenceId,exceptionOccurrences,cancelledOccurrences&$expand=exceptionOccurrences", nil, immutable())
	ours := map[string]map[string]bool{}
	shapeOf(got, "", ours)
	excused := map[string]string{
		".uid": "in newer samples only", ".exceptionOccurrences[].Subject": "misspelt in the sample",
		".exceptionOccurrences[].subject": "misspelt in the sample", ".exceptionOccurrences[].@odata.etag": "the sample is abbreviated",
		".exceptionOccurrences[].iCalUId": "the sample is abbreviated",
	}
	sameShape(t, ours, theirs, excused)
	if gone := got["cancelledOccurrences"].([]any); len(gone) != 1 || gone[0] != "OID."+b.ID+"."+b.Instances[1].Day {
		t.Errorf("cancelledOccurrences %v", gone)
	}
}

func TestSubscriptionsHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	ours := map[string]map[string]bool{}
	shapeOf(o.subscribe(t, d, email("Ada")), "", ours)
	theirs := published(t, "subscription-created", "subscription-renewed")
	sameShape(t, ours, theirs, map[string]string{".notificationContentType": "in some of the samples only, and null in others"})

	list, want := map[string]map[string]bool{}, published(t, "subscription-list", "errors/subscription-list")
	shapeOf(o.graph(t, http.StatusOK, http.MethodGet, "/subscriptions", nil), "", list)
	sameShape(t, list, want, map[string]string{
		".value[].notificationContentType": "in some of the samples only", ".value[].notificationQueryOptions": "in newer answers only",
		".value[].notificationUrlAppId": "in newer answers only",
	})
}

func TestNotificationsHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	theirs := published(t, "notif-basic-message-created")
	life := published(t, "lifecycle-")
	o := newOffice(t, Config{})
	d := newDoor(t)
	sub := o.subscribe(t, d, email("Ada"))
	o.pair(t)
	if err := o.SendLifecycle(text(t, sub, "id"), lifecycleMissed); err != nil {
		t.Fatal(err)
	}
	o.settle(t)
	change, lifecycle := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, it := range d.all() {
		into := change
		if it["lifecycleEvent"] != nil {
			into = lifecycle
		}
		shapeOf(map[string]any{"value": []any{it}}, "", into)
	}
	sameShape(t, change, theirs, map[string]string{".value[].id": "Outlook leaves it out"})
	sameShape(t, lifecycle, life, nil)
	router, err := description()
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range d.all() {
		body, err := json.Marshal(map[string]any{"value": []any{it}})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://graph.microsoft.com/v1.0/_notificationUrl", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		route, params, err := router.FindRoute(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route}); err != nil {
			t.Errorf("notification %s: %v", body, err)
		}
	}
}

func TestErrorsHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	theirs := published(t, "errors/404-", "errors/400-", "error-403")
	o := newOffice(t, Config{})
	ours := map[string]map[string]bool{}
	shapeOf(o.graph(t, http.StatusNotFound, http.MethodGet, "/users/"+o.id(t, email("Ada"))+"/events/nope", nil), "", ours)
	sameShape(t, ours, theirs, nil)

	_, body := o.form(t, contoso, url.Values{"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {"s"}, "scope": {"nonsense"}})
	ours = map[string]map[string]bool{}
	shapeOf(body, "", ours)
	sameShape(t, ours, published(t, "aadsts-"), nil)
}

func TestSettingsAndFreeBusyHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	ours := map[string]map[string]bool{}
	ada := "/users/" + o.id(t, email("Ada"))
	shapeOf(o.graph(t, http.StatusOK, http.MethodGet, ada+"/mailboxSettings", nil), "", ours)
	sameShape(t, ours, published(t, "mailboxsettings__"), nil)

	b := o.pair(t)
	if err := o.Accept(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	ours = map[string]map[string]bool{}
	shapeOf(o.graph(t, http.StatusOK, http.MethodPost, ada+"/calendar/getSchedule", map[string]any{
		"schedules": []string{email("Ada"), email("Grace")}, "availabilityViewInterval": 30,
		"startTime": wallTime{monday().Format(localTime), "UTC"}, "endTime": wallTime{monday().Add(2 * time.Hour).Format(localTime), "UTC"},
	}), "", ours)
	zone := ".value[].workingHours.timeZone."
	excused := map[string]string{}
	for path := range published(t, "getschedule-two") {
		if strings.HasPrefix(path, zone) && path != zone+"name" {
			excused[path] = "a custom time zone"
		}
	}
	sameShape(t, ours, published(t, "getschedule-two"), excused)
}

var errNoDescription = errors.New("no description")

func TestTheCheckSeesWrongAnswers(t *testing.T) {
	t.Parallel()
	router, err := description()
	if err == nil && router == nil {
		err = errNoDescription
	}
	if err != nil {
		t.Skip("the folder ../shared with Microsoft's description is not here:", err)
	}
	probe := &testing.T{}
	c := conforming{t: probe}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.microsoft.com/v1.0/users/a/events/b", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {graphJSON}}}
	c.check(router, req, resp, []byte(`{"id":"b","subjct":"x"}`))
	if !probe.Failed() {
		t.Error("a misspelt property went through")
	}
}
