package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pairsync/internal/simulator"
	"pairsync/model"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodPerUser)
	o.put(sessionPath(adaTenant, "s-1"), sessionBody("event-1", 9)).want(t, 201)
	if _, err := o.store.MailboxFailed(t.Context(), adaTenant, "p-1", model.MailboxNeedsSignIn, "sign_in_required", 1e12, 1e12); err != nil {
		t.Fatal(err)
	}
	link := o.microsoft(participantPath(adaTenant, "p-1") + "/connect")
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != o.server.URL+"/connect/callback" || !strings.Contains(q.Get("scope"), "offline_access") {
		t.Errorf("the link is %s", link)
	}
	back := answerAt(t, link, "answer", "consent")
	shows(t, back, 200, "Your calendar is connected")
	if got := o.mailboxStatus(); got != "ok" {
		t.Errorf("the mailbox is %s", got)
	}
	if got := o.tenantStatus(); got != "connected" {
		t.Errorf("the tenant is %s", got)
	}
	due, err := o.store.ClaimDue(t.Context(), 10, 1e9)
	if err != nil || len(due) != 1 || due[0].Session.ID != "s-1" {
		t.Errorf("due: %+v, %v", due, err)
	}
	sealed, _, err := o.store.RefreshToken(t.Context(), adaTenant, "p-1")
	if err != nil || len(sealed) == 0 {
		t.Fatalf("the refresh token: %v", err)
	}
	token, err := o.sealer.Open(model.PurposeRefreshToken, sealed)
	if err != nil || len(token) == 0 || strings.Contains(string(sealed), string(token)) {
		t.Errorf("the refresh token opens as %d bytes, %v", len(token), err)
	}
	shows(t, back, 410, "used up")
	if logged := o.logs.String(); strings.Contains(logged, string(token)) || strings.Contains(logged, q.Get("state")) || strings.Contains(logged, "ada@") {
		t.Errorf("the log is:\n%s", logged)
	}
}

// TestReconnect has an admin end somebody's sign-in, and the person sign in again.
func TestReconnect(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodPerUser)
	connect := func() {
		t.Helper()
		shows(t, answerAt(t, o.microsoft(participantPath(adaTenant, "p-1")+"/connect"), "answer", "consent"), 200)
	}
	connect()
	if err := o.sim.SetSignIn("ada@contoso.example", simulator.SignInRevoked); err != nil {
		t.Fatal(err)
	}
	sealed, _, err := o.store.RefreshToken(t.Context(), adaTenant, "p-1")
	if err != nil {
		t.Fatal(err)
	}
	connect()
	again, _, err := o.store.RefreshToken(t.Context(), adaTenant, "p-1")
	if err != nil || string(again) == string(sealed) {
		t.Errorf("the refresh token is still the one before, %v", err)
	}
	if got := o.try(`{"participants":["p-1"]}`); got.Accessible != 1 {
		t.Errorf("after signing in again: %+v", got.Results[0])
	}
}

// TestConnectAnotherPerson has Grace use Ada's link.
func TestConnectAnotherPerson(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodPerUser)
	back := answerAt(t, o.microsoft(participantPath(adaTenant, "p-1")+"/connect"), "answer", "consent", "person", "grace@contoso.example")
	body := shows(t, back, 403, "another account", "a…@contoso.example")
	if strings.Contains(body, "ada@") {
		t.Errorf("the page tells Ada's address: %s", body)
	}
	if got := o.mailboxStatus(); got != "unknown" {
		t.Errorf("the mailbox is %s", got)
	}
	if _, _, err := o.store.RefreshToken(t.Context(), adaTenant, "p-1"); err == nil {
		t.Error("Grace's token is kept as Ada's")
	}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodPerUser)
	link := o.microsoft(participantPath(adaTenant, "p-1") + "/connect")
	shows(t, answerAt(t, link, "answer", "cancel"), 403, "were not given")
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	// A code that is not from this sign-in is worth nothing, and uses the link up.
	forged := o.server.URL + "/connect/callback?" + url.Values{"code": {"made-up"}, "state": {u.Query().Get("state")}}.Encode()
	shows(t, forged, 400, "took too long")
	shows(t, answerAt(t, link, "answer", "consent"), 410, "used up")
	if got := o.mailboxStatus(); got != "unknown" {
		t.Errorf("the mailbox is %s", got)
	}
}

// TestConnectVerifier uses the code of one sign-in for the link of another: PKCE ties them.
func TestConnectVerifier(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodPerUser)
	path := participantPath(adaTenant, "p-1") + "/connect"
	one, err := url.Parse(answerAt(t, o.microsoft(path), "answer", "consent"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := url.Parse(answerAt(t, o.microsoft(path), "answer", "consent"))
	if err != nil {
		t.Fatal(err)
	}
	mixed := url.Values{"code": {one.Query().Get("code")}, "state": {two.Query().Get("state")}}
	shows(t, o.server.URL+"/connect/callback?"+mixed.Encode(), 400, "took too long")
	shows(t, one.String(), 400)
}

func TestConnectLinkRefused(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	path := participantPath(adaTenant, "p-1") + "/connect"
	a.post(path, "").refused(t, 404, "")
	a.people(adaTenant, "p-1")
	a.post(path, "").refused(t, 409, "")
	a.put(tenantPath(adaTenant), strings.Replace(tenantBody, "domain_wide", "per_user", 1)).want(t, 200)
	a.post(participantPath(adaTenant, "p-9")+"/connect", "").refused(t, 404, "")
	a.post(path, `{"email":"x"}`).refused(t, 422, "email")
	link := a.microsoft(path)
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	// Microsoft is away while the code is to be exchanged.
	back := a.server.URL + "/connect/callback?" + url.Values{"code": {"x"}, "state": {u.Query().Get("state")}}.Encode()
	shows(t, back, 502, "not connected yet")
	if status, _, _ := visit(t, http.MethodGet, a.server.URL+"/connect"); status != 404 {
		t.Errorf("/connect answers %d", status)
	}
}
