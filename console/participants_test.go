package console_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

func TestPutParticipant(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	path := participantPath(adaTenant, "p-1")
	body := `{"email":"Ada@contoso.example","name":"Ada","availability":[{"days":["monday","friday"],"from":"09:00","to":"24:00","time_zone":"Europe/Berlin"}]}`
	a.put(path, body).refused(t, 404, "")
	a.put(tenantPath(adaTenant), tenantBody).want(t, 201)
	a.get(path).refused(t, 404, "")

	first := a.put(path, body).want(t, 201)
	want := map[string]any{
		"id": "p-1", "tenant": adaTenant, "email": "Ada@contoso.example", "name": "Ada",
		"availability": []any{map[string]any{"days": []any{"monday", "friday"}, "from": "09:00", "to": "24:00", "time_zone": "Europe/Berlin"}},
		"mailbox":      map[string]any{"status": "unknown", "reason": nil, "subscription": nil},
	}
	if diff := cmp.Diff(want, decode[map[string]any](t, first)); diff != "" {
		t.Errorf("the new participant (-want +got):\n%s", diff)
	}
	if again := a.put(path, body).want(t, 200); string(again.body) != string(first.body) {
		t.Errorf("the same PUT again gives %s, then %s", first.body, again.body)
	}
	// A PUT says all there is: what it leaves out is gone.
	bare := decode[map[string]any](t, a.put(path, `{"email":"ada@contoso.example","name":null}`).want(t, 200))
	if bare["name"] != nil || len(bare["availability"].([]any)) != 0 {
		t.Errorf("after a PUT of the e-mail alone: %v", bare)
	}
	if got := a.get(path).want(t, 200); !strings.Contains(string(got.body), `"ada@contoso.example"`) {
		t.Errorf("read back: %s", got.body)
	}
}

func TestParticipantShowsItsMailbox(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	a.put(sessionPath(adaTenant, "s-1"), sessionBody("event-1", 9)).want(t, 201)
	if _, err := a.store.MailboxFailed(t.Context(), adaTenant, "p-1", model.MailboxUnreachable, "access_denied", 1e9, 1e9); err != nil {
		t.Fatal(err)
	}
	got := decode[map[string]any](t, a.get(participantPath(adaTenant, "p-1")).want(t, 200))["mailbox"]
	if diff := cmp.Diff(map[string]any{"status": "unreachable", "reason": "access_denied", "subscription": nil}, got); diff != "" {
		t.Errorf("the mailbox (-want +got):\n%s", diff)
	}
	session := decode[struct{ Outlook struct{ State string } }](t, a.get(sessionPath(adaTenant, "s-1")).want(t, 200))
	if session.Outlook.State != "unreachable" {
		t.Errorf("the session's state is %q", session.Outlook.State)
	}
}

func TestPutParticipantRefuses(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.put(tenantPath(adaTenant), tenantBody).want(t, 201)
	window := func(s string) string { return `{"email":"a@x.example","availability":[` + s + `]}` }
	for name, tc := range map[string]struct {
		body, field string
	}{
		"no email":          {`{}`, "email"},
		"null email":        {`{"email":null}`, "email"},
		"no at":             {`{"email":"ada"}`, "email"},
		"two addresses":     {`{"email":"a@x.example,b@x.example"}`, "email"},
		"header injection":  {`{"email":"a@x.example\r\nBcc: b@x.example"}`, "email"},
		"long email":        {`{"email":"` + strings.Repeat("a", 250) + `@x.example"}`, "email"},
		"name a list":       {`{"email":"a@x.example","name":[]}`, "name"},
		"unknown field":     {`{"email":"a@x.example","mail":"b"}`, "mail"},
		"availability":      {`{"email":"a@x.example","availability":{}}`, "availability"},
		"window a word":     {window(`"monday"`), "availability[0]"},
		"window null":       {window(`null`), "availability[0]"},
		"no days":           {window(`{"from":"09:00","to":"10:00","time_zone":"UTC"}`), "availability[0].days"},
		"empty days":        {window(`{"days":[],"from":"09:00","to":"10:00","time_zone":"UTC"}`), "availability[0].days"},
		"short day":         {window(`{"days":["mon"],"from":"09:00","to":"10:00","time_zone":"UTC"}`), "availability[0].days[0]"},
		"day twice":         {window(`{"days":["monday","monday"],"from":"09:00","to":"10:00","time_zone":"UTC"}`), "availability[0].days[1]"},
		"hour alone":        {window(`{"days":["monday"],"from":"9","to":"10:00","time_zone":"UTC"}`), "availability[0].from"},
		"no such hour":      {window(`{"days":["monday"],"from":"25:00","to":"26:00","time_zone":"UTC"}`), "availability[0].from"},
		"backwards":         {window(`{"days":["monday"],"from":"10:00","to":"09:00","time_zone":"UTC"}`), "availability[0].to"},
		"no time at all":    {window(`{"days":["monday"],"from":"09:00","to":"09:00","time_zone":"UTC"}`), "availability[0].to"},
		"no zone":           {window(`{"days":["monday"],"from":"09:00","to":"10:00"}`), "availability[0].time_zone"},
		"Windows zone":      {window(`{"days":["monday"],"from":"09:00","to":"10:00","time_zone":"W. Europe Standard Time"}`), "availability[0].time_zone"},
		"unknown in window": {window(`{"day":"monday"}`), "availability[0].day"},
		"in the second":     {window(`{"days":["monday"],"from":"09:00","to":"10:00","time_zone":"UTC"},{}`), "availability[1].days"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.put(participantPath(adaTenant, "p-1"), tc.body).refused(t, 422, tc.field)
		})
	}
	a.put(participantPath(adaTenant, strings.Repeat("x", 129)), `{"email":"a@x.example"}`).refused(t, 422, "participant")
	a.put(participantPath(adaTenant, "a\nb"), `{"email":"a@x.example"}`).refused(t, 422, "participant")
	a.put(tenantPath(adaTenant)+"/participants/%FF", `{"email":"a@x.example"}`).refused(t, 422, "participant")
	a.get(tenantPath(adaTenant)+"/participants/%FF").refused(t, 404, "")
	a.get(participantPath(adaTenant, "p-1")).want(t, 404)
}

// TestIDs puts and reads ids that a path has to be careful with.
func TestIDs(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	for i, id := range []string{
		"a/b", "a.b", "..", ".", "a b", "a+b", "a%2Fb", "a?b#c", "Müller", "日本語", "😀", `"quoted"`, "a\\b", "<script>", "sessions", "changes", "a;b", "a&b=c",
		strings.Repeat("ü", 128),
	} {
		body := sessionBody("event-"+string(rune('a'+i)), 9)
		for _, path := range []string{participantPath(adaTenant, id), sessionPath(adaTenant, id)} {
			// Clients take out dots of their own accord unless they are encoded.
			path = strings.ReplaceAll(strings.ReplaceAll(path, "/..", "/%2E%2E"), "/.", "/%2E")
			if strings.Contains(path, "/participants/") {
				body := `{"email":"x@contoso.example"}`
				a.put(path, body).want(t, 201)
			} else {
				a.put(path, body).want(t, 201)
				if got := decode[listJSON[changeJSON]](t, a.get(path+"/changes").want(t, 200)); len(got.Items) != 1 || got.Items[0].Session != id {
					t.Errorf("the history of %q is %+v", id, got)
				}
			}
			if got := decode[struct{ ID string }](t, a.get(path).want(t, 200)); got.ID != id {
				t.Errorf("%s is read back as %q, want %q", path, got.ID, id)
			}
		}
	}
}
