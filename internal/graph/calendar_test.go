package graph

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

const plainEvent = `{
 "@odata.context":"x","@odata.etag":"W/\"ck\"","id":"AAMk=","iCalUId":"uid-1","changeKey":"ck","type":"occurrence",
 "seriesMasterId":"AAMaster=","originalStart":"2026-12-01T09:00:00Z","lastModifiedDateTime":"2026-11-20T10:11:12.1234567Z",
 "isCancelled":false,"subject":"never kept","body":{"content":"never kept"},
 "start":{"dateTime":"2026-12-01T09:30:00.0000000","timeZone":"UTC"},
 "end":{"dateTime":"2026-12-01T10:00:00.0000000","timeZone":"UTC"},
 "onlineMeeting":{"joinUrl":"https://teams.example/j"},
 "organizer":{"emailAddress":{"name":"Ada","address":"Ada@contoso.example"}},
 "attendees":[
  {"type":"required","status":{"response":"tentativelyAccepted","time":"2026-11-20T10:00:00Z"},
   "emailAddress":{"name":"Grace","address":"Grace@contoso.example"},
   "proposedNewTime":{"start":{"dateTime":"2026-12-02T09:00:00.0000000","timeZone":"UTC"},
                      "end":{"dateTime":"2026-12-02T09:30:00.0000000","timeZone":"tzone://Microsoft/Utc"}}},
  {"type":"resource","status":{"response":"none","time":"0001-01-01T00:00:00Z"},"emailAddress":{"name":"Room"}},
  {"type":"optional","status":{"response":"notResponded","time":"4501-01-01T00:00:00Z"},"emailAddress":{"address":"x@y.example"}}
 ]}`

func plainEventRead() Event {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			panic(err)
		}
		return v
	}
	return Event{
		ID: "AAMk=", ICalUID: "uid-1", ChangeKey: "ck", Type: TypeOccurrence, SeriesMasterID: "AAMaster=",
		OriginalStart: at("2026-12-01T09:00:00Z"), Start: at("2026-12-01T09:30:00Z"), End: at("2026-12-01T10:00:00Z"),
		LastModified: at("2026-11-20T10:11:12.1234567Z"), JoinURL: "https://teams.example/j", Organizer: "Ada@contoso.example",
		Attendees: []Attendee{
			{
				Email: "Grace@contoso.example", Type: "required", Response: "tentativelyaccepted",
				RespondedAt:   at("2026-11-20T10:00:00Z"),
				ProposedStart: at("2026-12-02T09:00:00Z"), ProposedEnd: at("2026-12-02T09:30:00Z"),
			},
			{Type: "resource", Response: "none"},
			{Email: "x@y.example", Type: "optional", Response: "notresponded"},
		},
	}
}

func TestEventAsksForWhatItNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, plainEvent))
	id := "AAMk/Odd+Id=="
	got, err := s.client(t).Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plainEventRead(), got); diff != "" {
		t.Error(diff)
	}
	calls := s.seen()
	if len(calls) != 1 {
		t.Fatalf("%d calls, want 1", len(calls))
	}
	c := calls[0]
	if want := "/v1.0/users/" + mailboxA + "/events/AAMk%2FOdd+Id=="; c.Path != want {
		t.Errorf("path %s, want %s", c.Path, want)
	}
	if got := c.Header.Get("Prefer"); !strings.Contains(got, `IdType="ImmutableId"`) || !strings.Contains(got, `outlook.timezone="UTC"`) {
		t.Errorf("Prefer: %s", got)
	}
	if c.Header.Get("Authorization") != "Bearer token-1" || c.Header.Get("User-Agent") != "pairsync" || c.Header.Get("client-request-id") == "" {
		t.Errorf("headers: %v", c.Header)
	}
	query, err := url.ParseQuery(c.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"subject", "body", "bodyPreview", "location", "locations", "attachments", "categories", "webLink"} {
		for field := range strings.SplitSeq(query.Get("$select"), ",") {
			if field == never || field == "" {
				t.Errorf("$select has %q", field)
			}
		}
	}
}

// The hot path builds its own request: it must be the one that the SDK would have built.
func TestEventRequestIsTheSDKs(t *testing.T) {
	t.Parallel()
	c := newStandIn(t, nil).client(t)
	for _, id := range []string{"AAMkAD=", "AAMk-_/+=", "a b", "ä", "100%", "a?b#c", "it's", "a:b@c,d;e&f"} {
		mb := Mailbox{Tenant: tenantA, User: mailboxA}
		ours := c.eventRequest(t.Context(), mb, id)
		sdk, err := sdkEventRequest(t.Context(), c, mb, id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := url.Parse(ours.URL.String()); err != nil || got.Path != sdk.URL.Path {
			t.Errorf("id %q: path %q (%v), the SDK's is %q", id, got.Path, err, sdk.URL.Path)
		}
		if !cmp.Equal(ours.URL.Query()["$select"], sdk.URL.Query()["$select"]) || ours.Host != sdk.Host || ours.Method != sdk.Method {
			t.Errorf("id %q: %s, the SDK's is %s", id, ours.URL, sdk.URL)
		}
	}
}

func sdkEventRequest(ctx context.Context, c *Client, mb Mailbox, id string) (*http.Request, error) {
	info, err := users.NewItemEventsEventItemRequestBuilderInternal(c.path("user%2Did", mb.User, "event%2Did", id), c.adapter).
		ToGetRequestInformation(ctx, &users.ItemEventsEventItemRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.ItemEventsEventItemRequestBuilderGetQueryParameters{Select: strings.Split(eventSelect, ",")},
		})
	return c.native(ctx, info, err)
}

func TestEventByICalUID(t *testing.T) {
	t.Parallel()
	const cancelled = `{"id":"1","isCancelled":true}`
	cases := []struct {
		name, body, wantID string
		wantKind           Kind
	}{
		{"none", `{"value":[]}`, "", KindNotFound},
		{"one", `{"value":[` + plainEvent + `]}`, "AAMk=", ""},
		{"the living one of two", `{"value":[` + cancelled + `,` + plainEvent + `]}`, "AAMk=", ""},
		{"a cancelled one rather than none", `{"value":[` + cancelled + `]}`, "1", ""},
		{"not a list", `[]`, "", KindInvalid},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, answer(http.StatusOK, tc.body))
			got, err := s.client(t).EventByICalUID(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "it's-40A")
			if KindOf(err) != tc.wantKind || got.ID != tc.wantID {
				t.Fatalf("got %q, %v", got.ID, err)
			}
			query, err := url.ParseQuery(s.seen()[0].RawQuery)
			if err != nil {
				t.Fatal(err)
			}
			if f := query.Get("$filter"); f != "iCalUId eq 'it''s-40A'" {
				t.Errorf("$filter=%s", f)
			}
			if query.Get("$select") != eventSelect {
				t.Errorf("$select=%s", query.Get("$select"))
			}
		})
	}
}

func TestInstancesFollowsPages(t *testing.T) {
	t.Parallel()
	var s *standIn
	s = newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("$skip") == "" {
			writeJSON(w, map[string]any{
				"value":           []any{map[string]any{"id": "1", "originalStart": "2026-12-01T09:00:00Z"}},
				"@odata.nextLink": s.server.URL + r.URL.Path + "?$skip=1&x=y",
			})
			return
		}
		answer(http.StatusOK, `{"value":[{"id":"2"}]}`)(w, r)
	})
	from := time.Date(2026, 12, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
	got, err := s.client(t).Instances(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "M=", from, from.Add(48*time.Hour))
	if err != nil || len(got) != 2 || got[0].ID != "1" || got[1].ID != "2" {
		t.Fatalf("got %v, %v", got, err)
	}
	calls := s.seen()
	query, _ := url.ParseQuery(calls[0].RawQuery)
	if query.Get("startDateTime") != "2026-11-30T23:00:00Z" || query.Get("endDateTime") != "2026-12-02T23:00:00Z" {
		t.Errorf("window %s to %s", query.Get("startDateTime"), query.Get("endDateTime"))
	}
	for i, c := range calls {
		if c.Header.Get("Prefer") != prefer || c.Header.Get("Authorization") == "" {
			t.Errorf("page %d went without %v", i, c.Header)
		}
	}
}

// A link that leads elsewhere would carry our token there.
func TestInstancesStaysWithGraph(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"https://evil.example/v1.0/x", "http://evil.example/v1.0/x", "//evil.example/x", ":", "ftp://127.0.0.1/x"} {
		s := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"value": []any{}, "@odata.nextLink": link})
		})
		_, err := s.client(t).Instances(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "M", time.Now(), time.Now())
		if KindOf(err) != KindInvalid || len(s.seen()) != 1 {
			t.Errorf("%s: %v after %d calls", link, err, len(s.seen()))
		}
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	const missing = `{"error":{"code":"Request_ResourceNotFound","message":"…"}}`
	cases := []struct {
		name, byName, byAddress string
		nameStatus, addrStatus  int
		want                    string
		wantKind                Kind
		wantCalls               int
	}{
		{"by sign-in name", `{"id":"AB-1"}`, "", 200, 0, "ab-1", "", 1},
		{"by mail address", missing, `{"value":[{"id":"AB-2"}]}`, 404, 200, "ab-2", "", 2},
		{"nobody", missing, `{"value":[]}`, 404, 200, "", KindMailbox, 2},
		{"two people", missing, `{"value":[{"id":"1"},{"id":"2"}]}`, 404, 200, "", KindMailbox, 2},
		{"no search here", missing, "", 404, 404, "", KindMailbox, 2},
		{"throttled while searching", missing, `{}`, 404, 429, "", KindThrottled, 2},
		{"no permission", `{"error":{"code":"Authorization_RequestDenied"}}`, "", 403, 0, "", KindMailbox, 1},
		{"no id", `{}`, "", 200, 0, "", KindInvalid, 1},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1.0/users" {
					answer(tc.addrStatus, tc.byAddress)(w, r)
					return
				}
				answer(tc.nameStatus, tc.byName)(w, r)
			})
			got, err := s.client(t).User(t.Context(), tenantA, "o'neil@contoso.example")
			if got != tc.want || KindOf(err) != tc.wantKind || len(s.seen()) != tc.wantCalls {
				t.Fatalf("got %q, %v after %d calls", got, err, len(s.seen()))
			}
			if tc.wantCalls == 2 {
				query, _ := url.ParseQuery(s.seen()[1].RawQuery)
				if !strings.Contains(query.Get("$filter"), "mail eq 'o''neil@contoso.example'") {
					t.Errorf("$filter=%s", query.Get("$filter"))
				}
			}
		})
	}
}
