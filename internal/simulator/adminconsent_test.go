package simulator

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// unconnected is an office whose organisation has not consented.
func unconnected(t *testing.T, cfg Config) *office {
	t.Helper()
	o := newOffice(t, cfg)
	if _, err := o.AddTenant(Tenant{ID: contoso, Name: "Contoso", Domain: "contoso.example", Consent: ConsentMissing}); err != nil {
		t.Fatal(err)
	}
	return o
}

func consenting(more url.Values) url.Values {
	return asked(url.Values{
		"scope": {graphAudience + "/.default"}, "response_type": nil, "nonce": nil, "code_challenge": nil, "code_challenge_method": nil,
	}, more)
}

// roles asks for a token of the application and says which permissions it has; nil when there is no token.
func (o *office) roles(t *testing.T) []string {
	t.Helper()
	status, body := o.form(t, contoso, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {"s"}, "scope": {graphAudience + "/.default"},
	})
	if status != http.StatusOK {
		return nil
	}
	c, err := o.tokens.check(text(t, body, "access_token"))
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{}, c.Roles...)
}

func TestAdminConsents(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path  string
		query url.Values
		form  url.Values
		back  url.Values
	}{
		"v2": {
			path: "/" + contoso + "/v2.0/adminconsent", form: url.Values{"answer": {"consent"}},
			back: url.Values{"admin_consent": {"True"}, "tenant": {contoso}, "state": {"s-1"}, "scope": {
				graphAudience + "/Calendars.ReadWrite " + graphAudience + "/MailboxSettings.Read " + graphAudience + "/User.Read.All",
			}},
		},
		"v2, any organisation": {
			path: "/organizations/v2.0/adminconsent", form: url.Values{"answer": {"consent"}, "organisation": {"contoso.example"}},
			back: url.Values{"admin_consent": {"True"}, "tenant": {contoso}, "state": {"s-1"}, "scope": {
				graphAudience + "/Calendars.ReadWrite " + graphAudience + "/MailboxSettings.Read " + graphAudience + "/User.Read.All",
			}},
		},
		"v1": {
			path: "/" + contoso + "/adminconsent", query: url.Values{"scope": nil}, form: url.Values{"answer": {"consent"}},
			back: url.Values{"admin_consent": {"True"}, "tenant": {contoso}, "state": {"s-1"}},
		},
		"v1, any organisation, at once": {
			path: "/common/adminconsent", query: url.Values{"scope": nil, "answer": {"consent"}, "organisation": {contoso}},
			back: url.Values{"admin_consent": {"True"}, "tenant": {contoso}, "state": {"s-1"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := unconnected(t, Config{})
			if got := o.roles(t); got != nil {
				t.Errorf("before the consent a token with %v", got)
			}
			_, page, _ := o.page(t, test.path, consenting(url.Values{"scope": {graphAudience + "/.default"}}), nil)
			if !strings.Contains(page, "read and write calendars") {
				t.Errorf("the page does not say what is asked for:\n%s", page)
			}
			status, _, back := o.page(t, test.path, consenting(test.query), test.form)
			if status != http.StatusFound || back.Encode() != test.back.Encode() {
				t.Errorf("%d %v, want %v", status, back, test.back)
			}
			if got := o.roles(t); !slices.Contains(got, "Calendars.ReadWrite") {
				t.Errorf("after the consent a token with %v", got)
			}
		})
	}
}

func TestAdminDeclines(t *testing.T) {
	t.Parallel()
	o := unconnected(t, Config{})
	cancel := url.Values{"answer": {"cancel"}}
	_, _, v2 := o.page(t, "/"+contoso+"/v2.0/adminconsent", consenting(nil), cancel)
	if v2.Get("admin_consent") != "True" || v2.Get("error") != "consent_required" || v2.Get("state") != "s-1" || v2.Has("tenant") ||
		!strings.HasPrefix(v2.Get("error_description"), "AADSTS65004: The resource owner or authorization server denied the request.\r\nTrace ID: ") {
		t.Errorf("v2.0 answers %v", v2)
	}
	_, _, v1 := o.page(t, "/"+contoso+"/adminconsent", consenting(nil), cancel)
	if want := (url.Values{"error": {"permission_denied"}, "error_description": {"The admin canceled the request"}}); v1.Encode() != want.Encode() {
		t.Errorf("v1 answers %v", v1)
	}
	if got := o.roles(t); got != nil {
		t.Errorf("a token with %v", got)
	}
}

func TestAdminConsentIsPublishedThus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(needShared(t), "fixtures", "adminconsent-redirects*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var published [][]string
	for section := range strings.SplitSeq(string(b), "# ") {
		_, query, ok := strings.Cut(strings.Join(strings.Fields(section), ""), "?")
		if !ok {
			continue
		}
		var names []string
		for pair := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			names = append(names, name)
		}
		slices.Sort(names)
		published = append(published, slices.Compact(names))
	}
	o := unconnected(t, Config{})
	var ours [][]string
	for _, path := range []string{"/v2.0/adminconsent", "/adminconsent"} {
		for _, answer := range []string{"consent", "cancel"} {
			_, _, back := o.page(t, "/"+contoso+path, consenting(url.Values{"answer": {answer}}), nil)
			var names []string
			for name := range back {
				names = append(names, name)
			}
			slices.Sort(names)
			ours = append(ours, names)
		}
	}
	if !slices.EqualFunc(ours, published, slices.Equal) {
		t.Errorf("we answer %v, published are %v", ours, published)
	}
}

func TestConsentTakesAMoment(t *testing.T) {
	t.Parallel()
	o := unconnected(t, Config{Behaviour: Behaviour{ConsentDelay: Duration{time.Hour}}})
	path := "/" + contoso + "/v2.0/adminconsent"
	if status, _, _ := o.page(t, path, consenting(url.Values{"answer": {"consent"}}), nil); status != http.StatusFound {
		t.Fatal(status)
	}
	if got := o.roles(t); got == nil || len(got) != 0 {
		t.Errorf("the first token has %v", got)
	}
	// Consent that is set by hand takes none.
	if err := o.SetConsent(contoso, ConsentGranted); err != nil {
		t.Fatal(err)
	}
	if got := o.roles(t); len(got) == 0 {
		t.Error("no permissions")
	}
}

func TestConsentToScopesGrantsTheApplicationNothing(t *testing.T) {
	t.Parallel()
	o := unconnected(t, Config{})
	path := "/" + contoso + "/v2.0/adminconsent"
	_, _, back := o.page(t, path, consenting(url.Values{"scope": {"Calendars.ReadWrite"}, "answer": {"consent"}}), nil)
	if back.Get("scope") != graphAudience+"/Calendars.ReadWrite" {
		t.Errorf("%v", back)
	}
	if got := o.roles(t); got == nil || len(got) != 0 {
		t.Errorf("a token with %v", got)
	}
}

func TestRegisteredPermissionsAreGranted(t *testing.T) {
	t.Parallel()
	o := unconnected(t, Config{Apps: []App{{ClientID: appID, Secret: "s", Permissions: []string{"Calendars.Read"}}}})
	o.page(t, "/"+contoso+"/adminconsent", consenting(url.Values{"answer": {"consent"}}), nil)
	if got := o.roles(t); !slices.Equal(got, []string{"Calendars.Read"}) {
		t.Errorf("a token with %v", got)
	}
}

func TestConsentPagesThatRefuse(t *testing.T) {
	t.Parallel()
	o := unconnected(t, Config{})
	tests := map[string]struct {
		path  string
		query url.Values
		want  string
	}{
		"common":                 {"/common/v2.0/adminconsent", nil, "AADSTS90002"},
		"no scope":               {"/organizations/v2.0/adminconsent", url.Values{"scope": nil}, "AADSTS900144"},
		"misspelt scope":         {"/organizations/v2.0/adminconsent", url.Values{"scope": {"x"}}, "AADSTS650053"},
		"unknown organisation":   {"/organizations/v2.0/adminconsent", url.Values{"answer": {"consent"}, "organisation": {"x"}}, "AADSTS90002"},
		"unknown answer":         {"/organizations/v2.0/adminconsent", url.Values{"answer": {"x"}}, "AADSTS900144"},
		"redirect elsewhere, v1": {"/common/adminconsent", url.Values{"redirect_uri": {"javascript:alert(1)"}}, "AADSTS50011"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status, body, _ := o.page(t, test.path, consenting(test.query), nil); status != http.StatusBadRequest || !strings.Contains(body, test.want) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}
