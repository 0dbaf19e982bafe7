package simulator

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

const (
	callback = "http://127.0.0.1:1/back"
	verifier = "a-verifier-of-at-least-forty-three-characters"
	wished   = "openid profile offline_access Calendars.ReadWrite MailboxSettings.Read"
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// page opens a page of the login, or answers it when a form is given, and does not follow where it leads.
func (o *office) page(t *testing.T, path string, query, form url.Values) (status int, body string, back url.Values) {
	t.Helper()
	method, src := http.MethodGet, io.Reader(http.NoBody)
	if form != nil {
		method, src = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, o.url+path+"?"+query.Encode(), src)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := o.client.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusFound {
		to := resp.Header.Get("Location")
		if !strings.HasPrefix(to, callback+"?") {
			t.Fatalf("sent to %s", to)
		}
		if back, err = url.ParseQuery(strings.TrimPrefix(to, callback+"?")); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, string(b), back
}

func asked(more ...url.Values) url.Values {
	q := url.Values{
		"client_id": {appID}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {wished}, "state": {"s-1"},
		"nonce": {"n-1"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for _, m := range more {
		for k, v := range m {
			q[k] = v
			if v == nil {
				q.Del(k)
			}
		}
	}
	return q
}

// signedIn signs a person in and returns the code.
func (o *office) signedIn(t *testing.T, person string) string {
	t.Helper()
	status, body, back := o.page(t, "/organizations/oauth2/v2.0/authorize", asked(), url.Values{"answer": {"consent"}, "person": {person}})
	if status != http.StatusFound || back.Get("code") == "" || back.Get("state") != "s-1" {
		t.Fatalf("%d %v: %s", status, back, body)
	}
	return back.Get("code")
}

func redeeming(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {appID}, "client_secret": {"s"}, "code": {code},
		"redirect_uri": {callback}, "code_verifier": {verifier},
	}
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {appID}, "client_secret": {"s"}, "refresh_token": {token}}
}

// connect signs a person in and trades the code for tokens.
func (o *office) connect(t *testing.T, person string) map[string]any {
	t.Helper()
	status, body := o.form(t, "organizations", redeeming(o.signedIn(t, person)))
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	return body
}

func bearer(token string) option {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// wantNumber holds the answer of the token endpoint against an AADSTS number.
func wantNumber(t *testing.T, status int, body map[string]any, err string, number float64) {
	t.Helper()
	codes, _ := body["error_codes"].([]any)
	if status != http.StatusBadRequest || body["error"] != err || !slices.Contains(codes, any(number)) {
		t.Errorf("%d %v %v, want %s with %v", status, body["error"], body["error_description"], err, number)
	}
}

func TestPersonSignsInOnThePage(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	if _, err := o.AddTenant(Tenant{ID: contoso, Name: "Contoso", Domain: "contoso.example", Consent: ConsentMissing}); err != nil {
		t.Fatal(err)
	}
	status, body, _ := o.page(t, "/organizations/oauth2/v2.0/authorize", asked(url.Values{"login_hint": {email("Grace")}}), nil)
	for _, want := range []string{`value="` + email("Grace") + `"`, "read and write calendars (Calendars.ReadWrite)", `<option value="` + email("Ada")} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d, the page lacks %s:\n%s", status, want, body)
		}
	}
	got := o.connect(t, email("Grace"))
	if got["scope"] != "openid profile "+graphAudience+"/Calendars.ReadWrite "+graphAudience+"/MailboxSettings.Read" {
		t.Errorf("scope %v", got["scope"])
	}
	var id idClaims
	if _, _, err := jwt.NewParser().ParseUnverified(text(t, got, "id_token"), &id); err != nil {
		t.Fatal(err)
	}
	if id.ObjectID != o.id(t, email("Grace")) || id.TenantID != contoso || id.Username != email("Grace") || id.Nonce != "n-1" ||
		!slices.Equal(id.Audience, []string{appID}) {
		t.Errorf("id token %+v", id)
	}
	// Without any admin's consent the person's own mailbox is open, and nobody else's.
	b := o.pair(t)
	grace := bearer(text(t, got, "access_token"))
	o.graph(t, http.StatusOK, http.MethodGet, "/me/events/"+b.Copies[email("Grace")], nil, grace)
	o.graph(t, http.StatusOK, http.MethodGet, "/users/"+id.ObjectID+"/mailboxSettings", nil, grace)
	o.graph(t, http.StatusForbidden, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID, nil, grace)
	// The profile was not among the permissions.
	o.graph(t, http.StatusForbidden, http.MethodGet, "/me", nil, grace)
	o.graph(t, http.StatusCreated, http.MethodPost, "/me/events", draft("Mine"), grace)
}

func TestSignInThatIsNotGranted(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Apps: []App{{ClientID: appID, Secret: "s", RedirectURIs: []string{callback}}}})
	if _, err := o.AddUser(User{Tenant: contoso, Name: "Bob", Email: email("Bob"), SignIn: SignInBlocked}); err != nil {
		t.Fatal(err)
	}
	consent := url.Values{"answer": {"consent"}, "person": {email("Ada")}}
	tests := map[string]struct {
		path  string
		query url.Values
		form  url.Values
		// back is the error that goes to the application, page what stands on the page.
		back, page string
	}{
		"cancelled":          {form: url.Values{"answer": {"cancel"}}, back: "access_denied AADSTS65004"},
		"at once":            {query: url.Values{"answer": {"cancel"}}, back: "access_denied AADSTS65004"},
		"silently":           {query: url.Values{"prompt": {"none"}}, back: "login_required AADSTS50058"},
		"odd prompt":         {query: url.Values{"prompt": {"please"}}, back: "invalid_request AADSTS90023"},
		"implicit":           {query: url.Values{"response_type": {"token"}}, back: "unsupported_response_type AADSTS700051"},
		"form post":          {query: url.Values{"response_mode": {"form_post"}}, back: "invalid_request AADSTS70007"},
		"plain challenge":    {query: url.Values{"code_challenge_method": {"plain"}}, back: "invalid_request AADSTS501491"},
		"short challenge":    {query: url.Values{"code_challenge": {"x"}}, back: "invalid_request AADSTS501471"},
		"misspelt scope":     {query: url.Values{"scope": {"Calendar.ReadWrite"}}, back: "invalid_client AADSTS650053"},
		"no scope":           {query: url.Values{"scope": nil}, page: "AADSTS900144"},
		"no application":     {query: url.Values{"client_id": nil}, page: "AADSTS900144"},
		"other application":  {query: url.Values{"client_id": {"nobody"}}, page: "AADSTS700016"},
		"other redirect":     {query: url.Values{"redirect_uri": {callback + "/"}}, page: "AADSTS50011"},
		"no redirect":        {query: url.Values{"redirect_uri": nil}, page: "AADSTS50011"},
		"unknown tenant":     {path: "/nowhere.example", page: "AADSTS90002"},
		"nobody":             {form: url.Values{"answer": {"consent"}, "person": {"nobody@contoso.example"}}, page: "AADSTS50034"},
		"blocked":            {form: url.Values{"answer": {"consent"}, "person": {email("Bob")}}, page: "AADSTS53003"},
		"unknown answer":     {form: url.Values{"answer": {"maybe"}}, page: "AADSTS900144"},
		"form without one":   {form: url.Values{"person": {email("Ada")}}, page: "AADSTS900144"},
		"common":             {path: "/common", form: consent},
		"own tenant":         {path: "/contoso.example", form: consent},
		"at once, with hint": {query: url.Values{"login_hint": {email("Ada")}, "answer": {"consent"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := test.path
			if path == "" {
				path = "/organizations"
			}
			status, body, back := o.page(t, path+"/oauth2/v2.0/authorize", asked(test.query), test.form)
			switch {
			case test.page != "":
				if status != http.StatusBadRequest || !strings.Contains(body, test.page) {
					t.Errorf("%d: %s", status, body)
				}
			case test.back != "":
				description, _, _ := strings.Cut(back.Get("error_description"), ":")
				if got := back.Get("error") + " " + description; got != test.back || back.Get("state") != "s-1" || back.Has("code") {
					t.Errorf("%d %v", status, back)
				}
			case back.Get("code") == "":
				t.Errorf("%d %v %s", status, back, body)
			}
		})
	}
}

func TestSignInsEndAndAreMended(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	ada := o.id(t, email("Ada"))
	for _, test := range []struct {
		kind   SignIn
		err    string
		number float64
		// graph is what becomes of an access token that is out.
		graph int
	}{
		{SignInRevoked, "invalid_grant", 50173, 401},
		{SignInInactive, "invalid_grant", 700082, 200},
		{SignInTooOld, "invalid_grant", 70043, 200},
		{SignInMFA, "interaction_required", 50076, 401},
		{SignInUnconsented, "invalid_grant", 65001, 401},
		{SignInBlocked, "invalid_grant", 53003, 200},
		{SignInDisabled, "invalid_grant", 50057, 401},
	} {
		got := o.connect(t, email("Ada"))
		o.control(t, 204, http.MethodPut, "/users/"+ada+"/sign-in", map[string]any{"sign_in": test.kind}, nil)
		status, body := o.form(t, contoso, refreshing(text(t, got, "refresh_token")))
		wantNumber(t, status, body, test.err, test.number)
		o.graph(t, test.graph, http.MethodGet, "/me/mailboxSettings", nil, bearer(text(t, got, "access_token")))
		var list []SessionView
		o.control(t, 200, http.MethodGet, "/users/"+ada+"/sessions", nil, &list)
		if len(list) == 0 || list[0].Standing != test.kind || list[0].App != appID {
			t.Errorf("%s: sign-ins %+v", test.kind, list)
		}
		if test.kind.lasts() {
			if err := o.SetSignIn(ada, SignInOK); err != nil {
				t.Fatal(err)
			}
			if status, body := o.form(t, contoso, refreshing(text(t, got, "refresh_token"))); status != http.StatusOK {
				t.Errorf("%s, lifted: %d %v", test.kind, status, body)
			}
		}
	}
	o.control(t, 400, http.MethodPut, "/users/"+ada+"/sign-in", map[string]any{"sign_in": "odd"}, nil)
	o.control(t, 404, http.MethodGet, "/users/nobody/sessions", nil, nil)
	if err := o.SetSignIn("nobody", SignInOK); err == nil {
		t.Error("nobody's sign-in was changed")
	}
	got := o.connect(t, email("Ada"))
	if err := o.SetMailbox(ada, MailboxDeleted); err != nil {
		t.Fatal(err)
	}
	status, body := o.form(t, contoso, refreshing(text(t, got, "refresh_token")))
	wantNumber(t, status, body, "invalid_grant", 50034)
}

func TestAdminsOnlyConsent(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	form := url.Values{"answer": {"consent"}, "person": {email("Ada")}}
	for consent, want := range map[Consent]int{ConsentMissing: http.StatusBadRequest, ConsentGranted: http.StatusFound} {
		if _, err := o.AddTenant(Tenant{ID: contoso, Name: "Contoso", Consent: consent, AdminsOnly: true}); err != nil {
			t.Fatal(err)
		}
		status, body, _ := o.page(t, "/organizations/oauth2/v2.0/authorize", asked(), form)
		if status != want || want == http.StatusBadRequest && !strings.Contains(body, "AADSTS90094") {
			t.Errorf("%s: %d %s", consent, status, body)
		}
	}
}

func TestRedirectURIsAreRegistered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	o := newOffice(t, Config{Apps: []App{{ClientID: appID, Secret: "s"}}})
	o.control(t, 204, http.MethodPut, "/apps/"+appID+"/redirect-uris", map[string]any{"redirect_uris": []string{"https://other.example/back"}}, nil)
	if status, body, _ := o.page(t, "/common/oauth2/v2.0/authorize", asked(), nil); status != 400 || !strings.Contains(body, "AADSTS50011") {
		t.Errorf("%d %s", status, body)
	}
	o.control(t, 400, http.MethodPut, "/apps/"+appID+"/redirect-uris", map[string]any{"redirect_uris": []string{"back"}}, nil)
	o.control(t, 404, http.MethodPut, "/apps/nobody/redirect-uris", map[string]any{"redirect_uris": []string{}}, nil)
	o.control(t, 204, http.MethodPut, "/apps/"+appID+"/redirect-uris", map[string]any{"redirect_uris": []string{callback}}, nil)
	token := text(t, o.connect(t, email("Ada")), "refresh_token")
	if err := newSaver(file).write(o.snapshot()); err != nil {
		t.Fatal(err)
	}
	// A sign-in outlives the process.
	s, err := New(Config{StateFile: file, Apps: []App{{ClientID: appID, Secret: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	again := startOffice(t, s)
	if status, body := again.form(t, contoso, refreshing(token)); status != http.StatusOK {
		t.Errorf("%d %v", status, body)
	}
	if got := again.redirectURIs(App{ClientID: appID}); !slices.Equal(got, []string{callback}) {
		t.Errorf("redirect URIs %v", got)
	}
}
