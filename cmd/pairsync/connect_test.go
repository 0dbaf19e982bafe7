package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"pairsync/internal/simulator"
)

// TestGettingConnected has an admin and a person go to Microsoft and come back to the public server of a whole process: one
// organisation by consent, the other by each person's own sign-in.
func TestGettingConnected(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve")
	s.ready(t)
	wide, own := organisations()[0], organisations()[1]
	if err := s.outlook.sim.SetConsent(wide.tenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	person := own.pairs[0].mentor
	for path, body := range map[string]map[string]string{
		"/tenants/" + wide.tenant: {"name": wide.name, "owner_email": "it@contoso.example", "method": "domain_wide"},
		"/tenants/" + own.tenant:  {"name": own.name, "owner_email": "it@fabrikam.example", "method": "per_user"},
	} {
		if err := s.api.do(t.Context(), http.MethodPut, path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	for path, email := range map[string]string{
		"/tenants/" + wide.tenant + "/participants/p": wide.pairs[0].mentor.email, "/tenants/" + own.tenant + "/participants/p": person.email,
	} {
		if err := s.api.do(t.Context(), http.MethodPut, path, map[string]string{"email": email}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, way := range []struct{ tenant, link, says string }{
		{wide.tenant, "/consent", "is connected"},
		{own.tenant, "/participants/p/connect", "Your calendar is connected"},
	} {
		var link struct{ URL string }
		if err := s.api.do(t.Context(), http.MethodPost, "/tenants/"+way.tenant+way.link, map[string]string{}, &link); err != nil {
			t.Fatal(err)
		}
		status, page := browse(t, link.URL+"&answer=consent")
		if status != http.StatusOK || !strings.Contains(page, way.says) {
			t.Errorf("%s: the browser ends with %d: %s", way.link, status, page)
		}
		var test struct {
			Accessible, Inaccessible int
			Door                     struct{ OK bool }
			Results                  []struct{ Reason, Remedy *string }
		}
		if err := s.api.do(t.Context(), http.MethodPost, "/tenants/"+way.tenant+"/test", map[string]int{"sample": 5}, &test); err != nil {
			t.Fatal(err)
		}
		if test.Accessible != 1 || test.Inaccessible != 0 || !test.Door.OK {
			t.Errorf("%s: the connection test finds %+v", way.link, test)
		}
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
	for _, secret := range []string{"state=", "code=", "@contoso.example", "@fabrikam.example"} {
		if strings.Contains(p.output(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
}

// browse opens an address as a browser does, and goes where it leads.
func browse(t *testing.T, address string) (status int, page string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	defer browser.CloseIdleConnections()
	res, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestThePublicServerSendsBrowsersOn is of a process that has the webhook role alone.
func TestThePublicServerSendsBrowsersOn(t *testing.T) {
	t.Parallel()
	console, err := url.Parse("https://console.example/base")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{}
	s.cfg.ConsoleURL = console
	for path, handler := range s.extra() {
		rec := httptest.NewRecorder()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path+"?state=x&code=y", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		handler.ServeHTTP(rec, req)
		if want := "https://console.example/base" + path + "?state=x&code=y"; rec.Code != http.StatusFound || rec.Header().Get("Location") != want {
			t.Errorf("%s leads to %d %q, want %q", path, rec.Code, rec.Header().Get("Location"), want)
		}
	}
	if len(s.extra()) != 3 {
		t.Errorf("%d paths are sent on", len(s.extra()))
	}
}
