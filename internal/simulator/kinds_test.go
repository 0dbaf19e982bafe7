package simulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBrokenMailboxes goes through every kind of mailbox with every kind of call.
func TestBrokenMailboxes(t *testing.T) {
	t.Parallel()
	const ok = 0
	tests := map[MailboxKind]struct {
		// read and write are statuses, ok stands for success.
		read, write int
		code        string
		// subscribe is the status of a subscription, busy the code in free/busy, directory the status of the user.
		subscribe int
		busy      string
		directory int
	}{
		MailboxOK:           {},
		MailboxAccessDenied: {403, 403, "ErrorAccessDenied", 403, "ErrorNoFreeBusyAccess", ok},
		MailboxNotEnabled:   {404, 404, "MailboxNotEnabledForRESTAPI", 404, "5009", ok},
		MailboxUnlicensed:   {404, 404, "MailboxNotEnabledForRESTAPI", 404, "5009", ok},
		MailboxOnPremises:   {404, 404, "MailboxNotEnabledForRESTAPI", 404, "ErrorProxyRequestProcessingFailed", ok},
		MailboxNotSupported: {404, 404, "MailboxNotSupportedForRESTAPI", 404, "", ok},
		MailboxNone:         {404, 404, "ResourceNotFound", 404, "5009", ok},
		MailboxMoving:       {503, 503, "MailboxStoreUnavailable", 503, "ErrorFreeBusyGenerationFailed", ok},
		MailboxFull:         {ok, 507, "ErrorQuotaExceeded", ok, "", ok},
		MailboxDeleted:      {404, 404, "ErrorInvalidUser", 404, "5009", 404},
	}
	for kind, test := range tests {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			if !kind.valid() {
				t.Fatal("the kind is not known")
			}
			o, d := newOffice(t, Config{}), newDoor(t)
			b, sub := o.pair(t), text(t, o.subscribe(t, d, email("Grace")), "id")
			if err := o.SetMailbox(email("Grace"), kind); err != nil {
				t.Fatal(err)
			}
			grace, own := "/users/"+o.id(t, email("Grace")), b.Copies[email("Grace")]
			call := func(want, otherwise int, code, method, path string, body any) {
				t.Helper()
				if want == ok {
					want, code = otherwise, ""
				}
				status, answer := o.do(t, o.request(t, method, grace+path, body))
				if got := errorCode(answer); status != want || got != code {
					t.Errorf("%s %s: %d %s, want %d %s", method, path, status, got, want, code)
				}
			}
			for _, path := range []string{
				"/events/" + own, "/events", "/mailboxSettings", "/mailboxSettings/workingHours",
				"/events?$filter=" + url.QueryEscape("iCalUId eq '"+b.ICalUID+"'"),
				"/calendarView?startDateTime=2031-01-01T00:00:00&endDateTime=2031-01-02T00:00:00",
			} {
				call(test.read, 200, test.code, http.MethodGet, path, nil)
			}
			call(test.read, 200, test.code, http.MethodPost, "/calendar/getSchedule", map[string]any{
				"schedules": []string{email("Ada")}, "startTime": wallTime{"2031-01-01T00:00:00", "UTC"}, "endTime": wallTime{"2031-01-01T01:00:00", "UTC"},
			})
			call(test.write, 201, test.code, http.MethodPost, "/events", draft("x"))
			call(test.write, 200, test.code, http.MethodPatch, "/events/"+own, map[string]any{"categories": []string{"x"}})
			call(test.write, 202, test.code, http.MethodPost, "/events/"+own+"/accept", nil)
			call(test.write, 204, test.code, http.MethodDelete, "/events/"+own, nil)
			call(test.directory, 200, "Request_ResourceNotFound", http.MethodGet, "", nil)
			status, answer := o.do(t, o.request(t, http.MethodPost, "/subscriptions", map[string]any{
				"changeType": "updated", "notificationUrl": d.url, "resource": "users/" + o.id(t, email("Grace")) + "/events",
				"expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime),
			}))
			if want := max(test.subscribe, 201); status != want {
				t.Errorf("subscription: %d %v, want %d", status, answer, want)
			}
			for method, path := range map[string]string{http.MethodPatch: "", http.MethodPost: "/reauthorize"} {
				body := map[string]any{"expirationDateTime": time.Now().Add(2 * time.Hour).UTC().Format(graphTime)}
				status, answer = o.do(t, o.request(t, method, "/subscriptions/"+sub+path, body))
				if test.subscribe == ok && status >= 300 || test.subscribe != ok && (status != test.subscribe || errorCode(answer) != "ExtensionError") {
					t.Errorf("%s of a subscription: %d %v", method, status, answer)
				}
			}
			got, _ := o.busy(t, email("Grace"))[0]["error"].(map[string]any)
			if busy, _ := got["responseCode"].(string); busy != test.busy {
				t.Errorf("free/busy says %v, want %q", got, test.busy)
			}
		})
	}
}

func errorCode(body map[string]any) string {
	if body["error"] == nil {
		return ""
	}
	return code(body)
}

func TestDirectoryTellsLicencesApart(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	for kind, want := range map[MailboxKind]struct {
		licences int
		synced   any
	}{MailboxOK: {1, nil}, MailboxUnlicensed: {0, nil}, MailboxOnPremises: {1, true}} {
		if err := o.SetMailbox(email("Ada"), kind); err != nil {
			t.Fatal(err)
		}
		got := o.graph(t, 200, http.MethodGet, "/users/"+email("Ada")+"?$select=assignedLicenses,onPremisesSyncEnabled", nil)
		if list, _ := got["assignedLicenses"].([]any); len(list) != want.licences || got["onPremisesSyncEnabled"] != want.synced {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

func TestPagesOfTheDirectory(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	var names []string
	next := "/users?$top=2&$select=displayName,id"
	for next != "" {
		page := o.graph(t, 200, http.MethodGet, next, nil)
		for _, v := range page["value"].([]any) {
			u := v.(map[string]any)
			names = append(names, text(t, u, "displayName"))
			if len(u) != 2 {
				t.Errorf("more than was asked for: %v", u)
			}
		}
		link, _ := page["@odata.nextLink"].(string)
		next = strings.TrimPrefix(link, o.url+"/v1.0")
	}
	if !slices.Equal(names, []string{"Ada", "Grace", "Alan"}) {
		t.Errorf("people %v", names)
	}
	for _, query := range []string{"$top=0", "$top=1000", "$top=x", "$skip=1", "$skiptoken=x"} {
		o.graph(t, 400, http.MethodGet, "/users?"+query, nil)
	}
	// Who may read their own profile may read nobody else's.
	_, body := o.form(t, contoso, url.Values{"grant_type": {"password"}, "client_id": {appID}, "username": {email("Grace")}, "password": {"x"}})
	grace := bearer(text(t, body, "access_token"))
	o.graph(t, 200, http.MethodGet, "/users/"+email("Grace"), nil, grace)
	for _, path := range []string{"/users/" + email("Ada"), "/users"} {
		if got := o.graph(t, 403, http.MethodGet, path, nil, grace); code(got) != "Authorization_RequestDenied" {
			t.Errorf("%s: %s", path, code(got))
		}
	}
}
