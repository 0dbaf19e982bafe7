package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pairsync/console"
	"pairsync/internal/simulator"
	"pairsync/model"
)

func quickly(cfg *console.Config) { cfg.ConsentWait = 400 * time.Millisecond }

func TestConsent(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, quickly)
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	link := o.microsoft(tenantPath(adaTenant) + "/consent")
	back := answerAt(t, link, "answer", "consent")
	if o.tenantStatus() != "pending_consent" {
		t.Fatalf("before anybody comes back the tenant is %s", o.tenantStatus())
	}
	shows(t, back, 200, "Contoso is connected", "connection test")
	if got := o.tenantStatus(); got != "connected" {
		t.Errorf("the tenant is %s", got)
	}
	// A link is good once.
	shows(t, back, 410, "used up")
	// What goes out names nothing that could be made up.
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if state := u.Query().Get("state"); len(state) < 60 || strings.Contains(link, "p-1") || u.Query().Get("redirect_uri") != o.server.URL+"/consent/callback" {
		t.Errorf("the link is %s", link)
	}
	if !strings.Contains(u.Path, adaTenant) || !strings.Contains(u.Query().Get("scope"), ".default") {
		t.Errorf("the link is %s", link)
	}
}

func TestConsentArrivesLate(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, func(cfg *console.Config) { cfg.ConsentWait = 10 * time.Second })
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	b := o.sim.Behaviour()
	b.ConsentDelay.Duration = 700 * time.Millisecond
	o.sim.SetBehaviour(b)
	body := shows(t, answerAt(t, o.microsoft(tenantPath(adaTenant)+"/consent"), "answer", "consent"), 200, "is connected")
	if strings.Contains(body, "Not in the token yet") {
		t.Errorf("the page didn't wait for the permissions: %s", body)
	}
}

func TestConsentRefused(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, quickly)
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	link := o.microsoft(tenantPath(adaTenant) + "/consent")
	// Of a consent that was refused, Microsoft says admin_consent=True all the same.
	back := answerAt(t, link, "answer", "cancel")
	if !strings.Contains(back, "admin_consent=True") || !strings.Contains(back, "error=") {
		t.Fatalf("the login leads to %s", back)
	}
	shows(t, back, 403, "was not given")
	if got := o.tenantStatus(); got != "pending_consent" {
		t.Errorf("the tenant is %s", got)
	}
	// Somebody who cancelled by mistake may open the link again.
	shows(t, answerAt(t, link, "answer", "consent"), 200, "is connected")
}

// TestConsentIsProved has an answer say that there is a consent where there is none.
func TestConsentIsProved(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, quickly)
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(o.microsoft(tenantPath(adaTenant) + "/consent"))
	if err != nil {
		t.Fatal(err)
	}
	forged := o.server.URL + "/consent/callback?" + url.Values{"admin_consent": {"True"}, "tenant": {otherTenant}, "state": {u.Query().Get("state")}}.Encode()
	shows(t, forged, 502, "can&#39;t be confirmed yet", "consent")
	if got := o.tenantStatus(); got != "pending_consent" {
		t.Errorf("the tenant is %s", got)
	}
}

func TestCallbacksTrustNothing(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, quickly)
	link, err := url.Parse(o.microsoft(tenantPath(adaTenant) + "/consent"))
	if err != nil {
		t.Fatal(err)
	}
	state := link.Query().Get("state")
	for name, tc := range map[string]struct {
		path, query string
		status      int
		says        string
	}{
		"nothing":            {"/consent/callback", "", 400, "not complete"},
		"made up":            {"/consent/callback", "admin_consent=True&tenant=" + adaTenant + "&state=abc", 400, "not complete"},
		"changed":            {"/consent/callback", "state=" + state[:len(state)-2] + "AA", 400, "not complete"},
		"twice":              {"/consent/callback", "state=" + state + "&state=" + state, 400, "not complete"},
		"too long":           {"/consent/callback", "state=" + strings.Repeat("A", 5000), 400, "not complete"},
		"of another kind":    {"/connect/callback", "code=x&state=" + state, 400, "not complete"},
		"an error first":     {"/consent/callback", "error=access_denied&state=" + state, 403, "cancelled"},
		"an error we don't":  {"/consent/callback", "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cb%3Ehello%3C/b%3E", 403, "was not given"},
		"badly encoded":      {"/consent/callback", "state=%zz", 400, "not complete"},
		"connect, nothing":   {"/connect/callback", "", 400, "not complete"},
		"connect, no code":   {"/connect/callback", "state=" + state, 400, "not complete"},
		"connect, an error":  {"/connect/callback", "error=access_denied", 403, "not connected"},
		"connect, admins":    {"/connect/callback", "error=access_denied&error_description=AADSTS90094%3A+x", 403, "admin has to allow"},
		"connect, Microsoft": {"/connect/callback", "error=server_error", 403, "disturbance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := shows(t, o.server.URL+tc.path+"?"+tc.query, tc.status, tc.says)
			if strings.Contains(body, "alert(1)") || strings.Contains(body, "hello") || strings.Contains(body, adaTenant) {
				t.Errorf("the page repeats what it was sent: %s", body)
			}
		})
	}
	for _, path := range []string{"/consent/callback", "/connect/callback", "/consent/callback.css"} {
		for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut} {
			if status, header, _ := visit(t, method, o.server.URL+path+"?state="+state); status != 405 || header.Get("Allow") != "GET" {
				t.Errorf("%s %s answers %d", method, path, status)
			}
		}
	}
	if status, header, body := visit(t, http.MethodGet, o.server.URL+"/consent/callback.css"); status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/css") || !strings.Contains(body, "prefers-color-scheme: dark") {
		t.Errorf("the stylesheet answers %d %q", status, header.Get("Content-Type"))
	}
	if logged := o.logs.String(); strings.Contains(logged, state) || strings.Contains(logged, adaTenant) {
		t.Errorf("the log is:\n%s", logged)
	}
	// None of it has used the link up.
	shows(t, answerAt(t, link.String(), "answer", "consent"), 200, "is connected")
}

// TestLinkIsUsedOnce comes back with one link many times at once.
func TestLinkIsUsedOnce(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, quickly)
	back := answerAt(t, o.microsoft(tenantPath(adaTenant)+"/consent"), "answer", "consent")
	var connected, usedUp atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch status, _, _ := visit(t, http.MethodGet, back); status {
			case 200:
				connected.Add(1)
			case 410:
				usedUp.Add(1)
			}
		})
	}
	all.Wait()
	if connected.Load() != 1 || usedUp.Load() != 7 {
		t.Errorf("%d were connected and %d turned away, of 8", connected.Load(), usedUp.Load())
	}
}

func TestConsentLinkRefused(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.post(tenantPath(adaTenant)+"/consent", "").refused(t, 404, "")
	a.people(adaTenant)
	a.post(tenantPath(adaTenant)+"/consent", `{"scope":"all"}`).refused(t, 422, "scope")
	a.post(tenantPath(adaTenant)+"/consent", `{}`).want(t, 200)
	a.request("POST", tenantPath(otherTenant)+"/consent", adaToken, "").refused(t, 404, "")
	a.request("POST", tenantPath(adaTenant)+"/consent", "", "").want(t, 401)
	a.put(tenantPath(adaTenant), strings.Replace(tenantBody, "domain_wide", "per_user", 1)).want(t, 200)
	a.post(tenantPath(adaTenant)+"/consent", "").refused(t, 409, "")
}

// TestRedirectCallbacks sends browsers on from a public server without a console.
func TestRedirectCallbacks(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide, quickly)
	to, err := url.Parse(o.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	handlers := console.RedirectCallbacks(to)
	mux := http.NewServeMux()
	for path, h := range handlers {
		mux.Handle(path, h)
	}
	public := serve(t, mux)
	back, err := url.Parse(answerAt(t, o.microsoft(tenantPath(adaTenant)+"/consent"), "answer", "consent"))
	if err != nil {
		t.Fatal(err)
	}
	back.Host = strings.TrimPrefix(public, "http://")
	status, header, _ := visit(t, http.MethodGet, back.String())
	if status != http.StatusFound || header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("the public server answers %d", status)
	}
	shows(t, header.Get("Location"), 200, "is connected")
	if status, _, _ := visit(t, http.MethodPost, back.String()); status != 405 {
		t.Errorf("POST answers %d", status)
	}
}
