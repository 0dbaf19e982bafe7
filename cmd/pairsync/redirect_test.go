package main

import (
	"net/http"
	"syscall"
	"testing"
)

// TestBrowsersAreSentOnToTheConsole has a door without a console: who comes back from Microsoft is sent to CONSOLE_URL with
// everything that came along.
func TestBrowsersAreSentOnToTheConsole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["PAIRSYNC_CONSOLE_URL"] = "https://console.contoso.example/pairsync"
	p := start(t, s.env, "serve", "--roles", "webhook")
	s.ready(t)
	for _, path := range []string{"/consent/callback", "/connect/callback"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.webhook+path+"?state=a%20b&error=c", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if want := "https://console.contoso.example/pairsync" + path + "?state=a%20b&error=c"; res.StatusCode != http.StatusFound || res.Header.Get("Location") != want {
			t.Errorf("%s answers %d %s", path, res.StatusCode, res.Header.Get("Location"))
		}
	}
	if status, _, err := ask(t.Context(), t, "http://"+s.webhook+"/connect"); status != http.StatusNotFound || err != nil {
		t.Errorf("/connect answers %d, %v", status, err)
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}
