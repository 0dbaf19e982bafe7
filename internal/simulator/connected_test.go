package simulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOrganisationFromConsentToCancellation(t *testing.T) {
	t.Parallel()
	o := unconnected(t, Config{Apps: []App{{ClientID: appID, Name: "pairsync", Secret: "s", RedirectURIs: []string{callback}}}})
	o.graph(t, 401, http.MethodGet, "/users", nil)
	path := "/organizations/v2.0/adminconsent"
	if _, page, _ := o.page(t, path, consenting(nil), nil); !strings.Contains(page, "The application pairsync asks") || !strings.Contains(page, `value="contoso.example"`) {
		t.Errorf("page:\n%s", page)
	}
	_, _, back := o.page(t, path, consenting(nil), url.Values{"answer": {"consent"}, "organisation": {"contoso.example"}})
	if back.Get("tenant") != contoso || back.Has("error") {
		t.Fatalf("sent back with %v", back)
	}
	o.token = o.login(t)
	if got := o.busy(t, email("Ada"), email("Grace")); got[0]["availabilityView"] != "00" || got[1]["availabilityView"] != "00" {
		t.Fatalf("busy before anything was booked: %v", got)
	}
	booked := o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("Mentoring", invited("Grace"), map[string]any{
		"transactionId": "t-1", "isOnlineMeeting": true, "onlineMeetingProvider": "teamsForBusiness",
	}), immutable())
	id := text(t, booked, "id")
	if !strings.HasPrefix(text(t, booked, "onlineMeeting", "joinUrl"), "https://teams.microsoft.com/") {
		t.Errorf("link %v", booked["onlineMeeting"])
	}
	o.control(t, 204, http.MethodPost, "/act", map[string]any{"do": "accept", "person": email("Grace"), "event": id}, nil)
	if got := o.busy(t, email("Grace")); got[0]["availabilityView"] != "22" {
		t.Errorf("Grace is %v", got[0]["availabilityView"])
	}
	o.graph(t, 202, http.MethodPost, o.events(t, "Ada")+"/"+id+"/cancel", map[string]any{"comment": "Another time."})
	if got := o.busy(t, email("Ada"), email("Grace")); got[0]["availabilityView"] != "00" || got[1]["availabilityView"] != "00" {
		t.Errorf("busy after the cancellation: %v", got)
	}
	// What was consented to can be taken back, and the tokens that are out lose it at once.
	o.control(t, 204, http.MethodPut, "/tenants/"+contoso+"/consent", map[string]any{"consent": "withdrawn"}, nil)
	o.graph(t, 403, http.MethodGet, o.events(t, "Ada"), nil)
	o.control(t, 204, http.MethodPut, "/tenants/"+contoso+"/consent", map[string]any{"consent": "missing"}, nil)
	o.graph(t, 401, http.MethodGet, o.events(t, "Ada"), nil)
}

func TestPersonFromSignInToSignInAgain(t *testing.T) {
	t.Parallel()
	o, d := unconnected(t, Config{}), newDoor(t)
	got := o.connect(t, email("Grace"))
	grace := bearer(text(t, got, "access_token"))
	sub := o.graph(t, 201, http.MethodPost, "/subscriptions", map[string]any{
		"changeType": "created,updated,deleted", "notificationUrl": d.url, "resource": "me/events",
		"expirationDateTime": time.Now().Add(time.Hour).UTC().Format(graphTime),
	}, grace)
	own := text(t, o.graph(t, 201, http.MethodPost, "/me/events", draft("Mine", invited("Ada")), grace, immutable()), "id")
	o.settle(t)
	if items := d.all(); len(items) != 1 || items[0]["subscriptionId"] != sub["id"] {
		t.Errorf("notifications %v", items)
	}
	if err := o.SetSignIn(email("Grace"), SignInRevoked); err != nil {
		t.Fatal(err)
	}
	status, body := o.form(t, contoso, refreshing(text(t, got, "refresh_token")))
	wantNumber(t, status, body, "invalid_grant", 50173)
	if got := o.graph(t, 401, http.MethodGet, "/me/events/"+own, nil, grace); code(got) != "InvalidAuthenticationToken" {
		t.Errorf("code %s", code(got))
	}
	again := o.connect(t, email("Grace"))
	o.graph(t, 200, http.MethodGet, "/me/events/"+own, nil, bearer(text(t, again, "access_token")))
	// The tokens of the sign-in before stay dead.
	status, body = o.form(t, contoso, refreshing(text(t, got, "refresh_token")))
	wantNumber(t, status, body, "invalid_grant", 50173)
	list, err := o.Sessions(email("Grace"))
	if err != nil || len(list) != 2 || list[0].Standing != SignInOK || list[1].Standing != SignInRevoked {
		t.Errorf("sign-ins %+v, %v", list, err)
	}
}

func TestCodeIsRedeemedOnceByMany(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	form := redeeming(o.signedIn(t, email("Ada")))
	var good, used atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			status, body := o.form(t, contoso, form)
			switch {
			case status == http.StatusOK:
				good.Add(1)
			case strings.HasPrefix(text(t, body, "error_description"), "AADSTS54005"):
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 || used.Load() != 7 {
		t.Errorf("redeemed %d times, refused %d times", good.Load(), used.Load())
	}
	if list, err := o.Sessions(email("Ada")); err != nil || len(list) != 1 {
		t.Errorf("sign-ins %+v, %v", list, err)
	}
}

func TestManyRefreshAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	first := text(t, o.connect(t, email("Ada")), "refresh_token")
	var mu sync.Mutex
	tokens := map[string]bool{first: true}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			status, body := o.form(t, contoso, refreshing(first))
			mu.Lock()
			defer mu.Unlock()
			if token, _ := body["refresh_token"].(string); status != http.StatusOK || tokens[token] {
				t.Errorf("%d, a token that was given before or none: %v", status, body)
			} else {
				tokens[token] = true
			}
		})
	}
	wg.Wait()
	for token := range tokens {
		if status, _ := o.form(t, contoso, refreshing(token)); status != http.StatusOK {
			t.Errorf("one of the tokens is not good: %d", status)
		}
	}
}

func TestConnectionsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	o := newOffice(t, Config{})
	if _, err := o.AddTenant(Tenant{ID: contoso, Name: "Contoso", Consent: ConsentMissing, AdminsOnly: true}); err != nil {
		t.Fatal(err)
	}
	hours := WorkingHours{Days: []string{"friday"}, Start: "10:00", End: "11:00", CustomZone: &CustomZone{Bias: -60}}
	if err := o.SetWorkingHours(email("Ada"), hours); err != nil {
		t.Fatal(err)
	}
	if err := o.SetSignIn(email("Grace"), SignInDisabled); err != nil {
		t.Fatal(err)
	}
	if err := o.SetMailbox(email("Alan"), MailboxFull); err != nil {
		t.Fatal(err)
	}
	b := o.pair(t)
	if err := o.CancelSaying(b.ID, "No."); err != nil {
		t.Fatal(err)
	}
	before := o.snapshot()
	if err := newSaver(file).write(before); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	again := startOffice(t, s)
	if got := again.Tenants(); len(got) != 1 || !got[0].AdminsOnly || got[0].Consent != ConsentMissing {
		t.Errorf("organisations %+v", got)
	}
	users, err := again.Users(contoso)
	if err != nil || len(users) != 3 || users[1].SignIn != SignInDisabled || users[2].Kind != MailboxFull {
		t.Errorf("people %+v, %v", users, err)
	}
	again.world.mu.RLock()
	box, err := again.world.person(email("Ada"))
	again.world.mu.RUnlock()
	if err != nil || box.working.Custom == nil || box.working.Custom.Bias != -60 || box.working.StartTime != "10:00:00.0000000" {
		t.Errorf("working hours %+v, %v", box.working, err)
	}
	if v, err := again.CopyOf(email("Grace"), b.ID); err != nil || v.Comment != "No." {
		t.Errorf("cancelled copy %+v, %v", v, err)
	}
}

func TestStateOfAnEarlierVersionLoads(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	o := newOffice(t, Config{})
	whole, err := json.Marshal(o.snapshot())
	if err != nil {
		t.Fatal(err)
	}
	// Before people could sign in there was nothing of it in the file.
	older := strings.ReplaceAll(strings.ReplaceAll(string(whole), `,"sign_in":"ok"`, ""), `,"admins_only":false`, "")
	if older == string(whole) {
		t.Fatal("the file is as it was")
	}
	var in saved
	if err := json.Unmarshal([]byte(older), &in); err != nil {
		t.Fatal(err)
	}
	if err := newSaver(file).write(&in); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	users, err := s.Users(contoso)
	if err != nil || len(users) != 3 || users[0].SignIn != SignInOK {
		t.Errorf("people %+v, %v", users, err)
	}
	for text, why := range map[string]string{
		`{"version":1,"sessions":[{"id":"x"}]}`: "a sign-in of nobody",
		`{"version":2}`:                         "a newer version",
	} {
		in := saved{}
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatal(err)
		}
		in.SigningKey = o.tokens.pem()
		if err := newSaver(file).write(&in); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{StateFile: file}); err == nil {
			t.Errorf("%s was loaded", why)
		}
	}
}

func TestPagesOfTheLoginEscapeWhatTheyShow(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	if _, err := o.AddUser(User{Tenant: contoso, Name: `<b>"Bob"</b>`, Email: "bob@contoso.example"}); err != nil {
		t.Fatal(err)
	}
	const evil = `"><script>alert(1)</script>`
	for _, query := range []url.Values{asked(url.Values{"login_hint": {evil}}), asked(url.Values{"redirect_uri": {evil}}), asked(url.Values{"client_id": {evil}})} {
		if _, body, _ := o.page(t, "/organizations/oauth2/v2.0/authorize", query, nil); strings.Contains(body, "<script") || strings.Contains(body, "<b>") {
			t.Errorf("page:\n%s", body)
		}
	}
	// An answer keeps the redirect URI's own query.
	status, _, back := o.page(t, "/organizations/oauth2/v2.0/authorize", asked(url.Values{"redirect_uri": {callback + "?a=b"}}), url.Values{"answer": {"cancel"}})
	if status != http.StatusFound || back.Get("a") != "b" || back.Get("error") != "access_denied" {
		t.Errorf("%d %v", status, back)
	}
}

func FuzzRefreshTokens(f *testing.F) {
	w := newWorld()
	box := newMailbox(&tenant{id: contoso}, newGUID(), "Ada", email("Ada"))
	ses := w.signIn(box, appID, []string{"offline_access"})
	token := ses.refreshToken(time.Now())
	f.Add(token)
	f.Add("1.")
	f.Add(token[:len(token)-1])
	f.Fuzz(func(t *testing.T, text string) {
		got, issued, ok := w.sessionOf(text)
		if ok && (got != ses || issued.After(time.Now()) || text[:len(text)-1] != token[:len(token)-1]) {
			t.Errorf("%q is good", text)
		}
	})
}
