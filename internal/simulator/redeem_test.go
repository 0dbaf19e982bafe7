package simulator

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestCodesAreGoodOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	tests := map[string]struct {
		change func(url.Values)
		tenant string
		err    string
		number float64
	}{
		"wrong verifier": {change: func(v url.Values) { v.Set("code_verifier", "x") }, err: "invalid_grant", number: 50148},
		"no verifier":    {change: func(v url.Values) { v.Del("code_verifier") }, err: "invalid_grant", number: 50148},
		"other redirect": {change: func(v url.Values) { v.Set("redirect_uri", callback+"2") }, err: "invalid_grant", number: 500112},
		"no redirect":    {change: func(v url.Values) { v.Del("redirect_uri") }, err: "invalid_request", number: 900144},
		"other code":     {change: func(v url.Values) { v.Set("code", "x") }, err: "invalid_grant", number: 70000},
		"other app":      {change: func(v url.Values) { v.Set("client_id", "another") }, err: "invalid_grant", number: 70000},
		"other tenant":   {tenant: "22222222-0000-4000-8000-000000000000", err: "invalid_grant", number: 700005},
	}
	if _, err := o.AddTenant(Tenant{ID: "22222222-0000-4000-8000-000000000000"}); err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form, tenant := redeeming(o.signedIn(t, email("Ada"))), "organizations"
			if test.change != nil {
				test.change(form)
			}
			if test.tenant != "" {
				tenant = test.tenant
			}
			status, body := o.form(t, tenant, form)
			wantNumber(t, status, body, test.err, test.number)
		})
	}
	form := redeeming(o.signedIn(t, email("Ada")))
	if status, body := o.form(t, contoso, form); status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	status, body := o.form(t, contoso, form)
	wantNumber(t, status, body, "invalid_grant", 54005)
}

func TestExpiredCodesAndRefreshTokens(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{CodeLifetime: time.Nanosecond})
	status, body := o.form(t, contoso, redeeming(o.signedIn(t, email("Ada"))))
	wantNumber(t, status, body, "invalid_grant", 70008)
	o = newOffice(t, Config{RefreshLifetime: time.Nanosecond})
	status, body = o.form(t, contoso, refreshing(text(t, o.connect(t, email("Ada")), "refresh_token")))
	wantNumber(t, status, body, "invalid_grant", 700082)
}

func TestRefreshTokensStayGoodBesideTheirSuccessors(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	first := text(t, o.connect(t, email("Ada")), "refresh_token")
	_, answer := o.form(t, "organizations", refreshing(first))
	second := text(t, answer, "refresh_token")
	for _, token := range []string{first, second, first} {
		status, answer := o.form(t, contoso, refreshing(token))
		if status != http.StatusOK || answer["refresh_token"] == token || first == second {
			t.Fatalf("%d %v", status, answer)
		}
		o.graph(t, http.StatusOK, http.MethodGet, "/me/mailboxSettings", nil, bearer(text(t, answer, "access_token")))
	}
	less := refreshing(first)
	less.Set("scope", "offline_access "+graphAudience+"/MailboxSettings.Read")
	_, answer = o.form(t, contoso, less)
	o.graph(t, http.StatusForbidden, http.MethodGet, "/me/events", nil, bearer(text(t, answer, "access_token")))
	for name, test := range map[string]struct {
		change func(url.Values)
		err    string
		number float64
	}{
		"more scope": {func(v url.Values) { v.Set("scope", "User.Read") }, "invalid_grant", 65001},
		"odd scope":  {func(v url.Values) { v.Set("scope", "x") }, "invalid_scope", 70011},
		"other app":  {func(v url.Values) { v.Set("client_id", "another") }, "invalid_grant", 9002313},
		"garbled":    {func(v url.Values) { v.Set("refresh_token", first[:len(first)-4]+"AAAA") }, "invalid_grant", 9002313},
		"no token":   {func(v url.Values) { v.Del("refresh_token") }, "invalid_request", 900144},
	} {
		form := refreshing(first)
		test.change(form)
		status, body := o.form(t, contoso, form)
		t.Log(name)
		wantNumber(t, status, body, test.err, test.number)
	}
}
