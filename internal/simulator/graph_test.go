package simulator

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	event := "/users/" + b.Mailbox + "/events/" + b.ID
	token := func(c claims, life time.Duration) string {
		c.TenantID, c.Audience = contoso, jwt.ClaimStrings{graphAudience}
		c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(life))
		text, err := o.tokens.issue(c)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{TenantID: contoso, Roles: App{}.permissions()}).SignedString([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		token, path string
		status      int
		code        string
	}{
		"no token":              {"", event, 401, "InvalidAuthenticationToken"},
		"not a token":           {"x.y.z", event, 401, "InvalidAuthenticationToken"},
		"forged":                {forged, event, 401, "InvalidAuthenticationToken"},
		"expired":               {token(claims{Roles: App{}.permissions()}, -time.Minute), event, 401, "InvalidAuthenticationToken"},
		"no roles":              {token(claims{}, time.Hour), event, 403, "ErrorAccessDenied"},
		"no roles in directory": {token(claims{}, time.Hour), "/users/" + b.Mailbox, 403, "Authorization_RequestDenied"},
		"reading is enough":     {token(claims{Roles: []string{"Calendars.Read"}}, time.Hour), event, 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := o.graph(t, test.status, http.MethodGet, test.path, nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+test.token) })
			if code(body) != test.code {
				t.Errorf("code %q, want %q", code(body), test.code)
			}
		})
	}
	reader := token(claims{Roles: []string{"Calendars.Read"}}, time.Hour)
	o.graph(t, http.StatusForbidden, http.MethodPatch, event, map[string]any{"subject": "x"}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+reader) })
}

func TestConsentTakenAwayWorksAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	path := "/users/" + o.id(t, email("Ada")) + "/events"
	for _, step := range []struct {
		consent Consent
		status  int
	}{{ConsentWithdrawn, 403}, {ConsentGranted, 200}, {ConsentMissing, 401}, {ConsentGranted, 200}} {
		if err := o.SetConsent(contoso, step.consent); err != nil {
			t.Fatal(err)
		}
		o.graph(t, step.status, http.MethodGet, path, nil)
	}
	if err := o.SetConsent(contoso, "perhaps"); err == nil {
		t.Error("an unknown consent was taken")
	}
}

func TestKindsOfMailbox(t *testing.T) {
	t.Parallel()
	tests := map[MailboxKind]struct {
		status int
		code   string
		user   int
		sub    int
	}{
		MailboxOK:           {200, "", 200, 201},
		MailboxAccessDenied: {403, "ErrorAccessDenied", 200, 403},
		MailboxNotEnabled:   {404, "MailboxNotEnabledForRESTAPI", 200, 404},
		MailboxNotSupported: {404, "MailboxNotSupportedForRESTAPI", 200, 404},
		MailboxNone:         {404, "ResourceNotFound", 200, 404},
		MailboxMoving:       {503, "MailboxStoreUnavailable", 200, 503},
		MailboxDeleted:      {404, "ErrorInvalidUser", 404, 404},
	}
	o := newOffice(t, Config{})
	b := o.pair(t)
	d := newDoor(t)
	for kind, test := range tests {
		if err := o.SetMailbox(email("Ada"), kind); err != nil {
			t.Fatal(err)
		}
		if got := o.graph(t, test.status, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID, nil); code(got) != test.code {
			t.Errorf("%s: code %q, want %q", kind, code(got), test.code)
		}
		o.graph(t, test.user, http.MethodGet, "/users/"+email("Ada"), nil)
		got := o.graph(t, test.sub, http.MethodPost, "/subscriptions", map[string]any{
			"changeType": "updated", "notificationUrl": d.url, "resource": "users/" + b.Mailbox + "/events",
			"expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime),
		})
		if test.sub != 201 && (code(got) != "ExtensionError" || !strings.Contains(text(t, got, "error", "message"), "Operation: Create; Exception:")) {
			t.Errorf("%s: subscription refused with %v", kind, got)
		}
	}
	if got := o.graph(t, 404, http.MethodGet, "/users/nobody@contoso.example/events", nil); code(got) != "ErrorInvalidUser" {
		t.Errorf("unknown user's events: %s", code(got))
	}
	if got := o.graph(t, 404, http.MethodGet, "/users/nobody@contoso.example", nil); code(got) != "Request_ResourceNotFound" {
		t.Errorf("unknown user: %s", code(got))
	}
}

func TestAnotherOrganisationsPeopleAreUnknown(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	fabrikam, err := o.AddTenant(Tenant{Name: "Fabrikam"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := o.AddUser(User{Tenant: fabrikam.ID, Name: "Eve", Email: "eve@fabrikam.example"})
	if err != nil {
		t.Fatal(err)
	}
	o.graph(t, http.StatusNotFound, http.MethodGet, "/users/"+u.ID, nil)
	o.graph(t, http.StatusNotFound, http.MethodGet, "/users/"+u.ID+"/events", nil)
	o.graph(t, http.StatusNotFound, http.MethodPost, "/subscriptions", map[string]any{
		"changeType": "updated", "notificationUrl": "http://127.0.0.1:1", "resource": "users/" + u.ID + "/events",
		"expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime),
	})
}

func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	text, err := json.Marshal(map[string]any{
		"subject": "Squeezed", "start": wallTime{"2031-01-01T10:00:00", "UTC"}, "end": wallTime{"2031-01-01T11:00:00", "UTC"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := "/users/" + o.id(t, email("Ada")) + "/events"
	if got := o.graph(t, http.StatusCreated, http.MethodPost, path, buf.String(), with("Content-Encoding", "gzip")); got["subject"] != "Squeezed" {
		t.Errorf("subject %v", got["subject"])
	}
	o.graph(t, http.StatusBadRequest, http.MethodPost, path, string(text), with("Content-Encoding", "gzip"))
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	path := "/users/" + b.Mailbox + "/events/"
	for _, id := range []string{b.ID, b.DefaultID} {
		if got := text(t, o.graph(t, 200, http.MethodGet, path+url.PathEscape(id), nil), "id"); got != b.DefaultID {
			t.Errorf("without the header: %s", got)
		}
		if got := text(t, o.graph(t, 200, http.MethodGet, path+url.PathEscape(id), nil, immutable()), "id"); got != b.ID {
			t.Errorf("with the header: %s", got)
		}
	}
	req := o.request(t, http.MethodGet, path+b.ID, nil, with("Prefer", `outlook.timezone="W. Europe Standard Time", IdType="ImmutableId"`))
	resp, err := o.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Preference-Applied"); got != `outlook.timezone="W. Europe Standard Time"` {
		t.Errorf("Preference-Applied %q", got)
	}
	var e struct {
		ID    string
		Start wallTime
	}
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if want := (wallTime{monday().In(berlin).Format(localTime), "W. Europe Standard Time"}); e.Start != want || e.ID != b.ID {
		t.Errorf("start %+v, want %+v; id %s", e.Start, want, e.ID)
	}
	if got := o.graph(t, 400, http.MethodGet, path+b.ID, nil, with("Prefer", `outlook.timezone="Nowhere"`)); code(got) != "TimeZoneNotSupportedException" {
		t.Errorf("code %s", code(got))
	}
}

func TestConcurrencyLimitOfAMailbox(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	path := "/users/" + b.Mailbox + "/events/" + b.ID
	o.world.mu.RLock()
	gate := &o.world.users[b.Mailbox].gate
	o.world.mu.RUnlock()
	for range 4 {
		if !gate.enter(4) {
			t.Fatal("four calls at a time are too many")
		}
	}
	if got := o.graph(t, 429, http.MethodGet, path, nil); code(got) != "ApplicationThrottled" {
		t.Errorf("code %s", code(got))
	}
	// The directory and other mailboxes go on.
	o.graph(t, 200, http.MethodGet, "/users/"+b.Mailbox, nil)
	o.graph(t, 200, http.MethodGet, o.events(t, "Grace")+"/"+b.Copies[email("Grace")], nil)
	gate.leave()
	o.graph(t, 200, http.MethodGet, path, nil)
	if most := o.Counters().MostConcurrent[b.Mailbox]; most != 5 {
		t.Errorf("most concurrent %d, want 5 with the refused one", most)
	}
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	for _, path := range []string{"/nonsense", "/users/x/y/z", "/v1.0/users"} {
		if got := o.graph(t, http.StatusBadRequest, http.MethodGet, path, nil); code(got) != "BadRequest" {
			t.Errorf("%s: %v", path, got)
		}
	}
	got := o.graph(t, http.StatusNotFound, http.MethodGet, "/users/"+email("Ada")+"/events/nope", nil, with("client-request-id", "mine"))
	if text(t, got, "error", "innerError", "client-request-id") != "mine" || text(t, got, "error", "innerError", "request-id") == "" {
		t.Errorf("innerError %v", got)
	}
	if o.Reads("nope") != 1 {
		t.Errorf("%d reads of an id that is not there", o.Reads("nope"))
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	ada := o.graph(t, 200, http.MethodGet, "/users/"+strings.ToUpper(email("Ada"))+"?$select=id,mail,userPrincipalName", nil)
	if text(t, ada, "id") != o.id(t, email("Ada")) || ada["displayName"] != nil {
		t.Errorf("user %v", ada)
	}
	if got := o.graph(t, 400, http.MethodGet, "/users/"+email("Ada")+"?$select=shoeSize", nil); code(got) != "RequestBroker--ParseUri" {
		t.Errorf("code %s", code(got))
	}
	found := o.graph(t, 200, http.MethodGet, "/users?$filter="+url.QueryEscape("mail eq 'ada@contoso.example' or userPrincipalName eq 'ada@contoso.example'"), nil)
	if list := found["value"].([]any); len(list) != 1 {
		t.Errorf("found %v", list)
	}
	page := o.graph(t, 200, http.MethodGet, "/users?$top=2", nil)
	if list := page["value"].([]any); len(list) != 2 || page["@odata.nextLink"] == nil {
		t.Errorf("page %v", page)
	}
	o.graph(t, 400, http.MethodGet, "/users?$filter=startswith(mail,'a')", nil)
}
