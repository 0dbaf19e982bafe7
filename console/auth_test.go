package console_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/console"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant)
	for name, tc := range map[string]struct {
		header string
		status int
	}{
		"known":              {"Bearer " + allToken, 200},
		"scheme in any case": {"bearer " + allToken, 200},
		"limited":            {"Bearer " + adaToken, 200},
		"missing":            {"", 401},
		"unknown":            {"Bearer nobody", 401},
		"cut short":          {"Bearer " + allToken[:10], 401},
		"longer":             {"Bearer " + allToken + "x", 401},
		"empty":              {"Bearer ", 401},
		"other scheme":       {"Basic " + allToken, 401},
		"no scheme":          {allToken, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := a.request("GET", tenantPath(adaTenant), "", "", "Authorization", tc.header)
			res.want(t, tc.status)
			if challenge := res.header.Get("WWW-Authenticate"); (tc.status == 401) != strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("WWW-Authenticate is %q", challenge)
			}
		})
	}
}

func TestWithoutTokensEverybodyIsRefused(t *testing.T) {
	t.Parallel()
	a := startAPI(t, func(cfg *console.Config) { cfg.Tokens = nil })
	for _, token := range []string{"", "x", allToken} {
		a.request("GET", tenantPath(adaTenant), token, "").want(t, 401)
		a.request("PUT", tenantPath(adaTenant), token, tenantBody).want(t, 401)
		a.request("GET", "/v1/changes", token, "").want(t, 401)
		a.request("GET", "/v1/changes/stream", token, "").want(t, 401)
	}
	a.request("GET", "/v1/openapi.json", "", "").want(t, 200)
}

// TestLimitedTokenSeesOneTenant asks for everything of another tenant, once existing and once not: the answers must be the same
// but for the name asked for.
func TestLimitedTokenSeesOneTenant(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	const absent = "33333333-aaaa-4bbb-8ccc-000000000003"
	for _, tenant := range []string{adaTenant, otherTenant} {
		a.people(tenant, "p-1", "p-2")
		a.put(sessionPath(tenant, "s-1"), sessionBody("event-1", 9)).want(t, 201)
	}
	for _, tc := range [][2]string{
		{"GET", ""},
		{"PUT", ""},
		{"GET", "/participants/p-1"},
		{"PUT", "/participants/p-1"},
		{"GET", "/sessions"},
		{"GET", "/sessions/s-1"},
		{"PUT", "/sessions/s-1"},
		{"GET", "/sessions/s-1/changes"},
	} {
		body := ""
		if tc[0] == "PUT" {
			body = `{}`
		}
		own := a.request(tc[0], tenantPath(adaTenant)+tc[1], adaToken, body)
		if own.status == 404 {
			t.Errorf("%s %s: its own tenant isn't found", tc[0], tc[1])
		}
		theirs := a.request(tc[0], tenantPath(otherTenant)+tc[1], adaToken, body).want(t, 404)
		none := a.request(tc[0], tenantPath(absent)+tc[1], adaToken, body).want(t, 404)
		told := strings.ReplaceAll(decode[problem](t, theirs).Detail, otherTenant, absent)
		if want := decode[problem](t, none).Detail; told != want {
			t.Errorf("%s %s: another tenant answers %q, none at all %q", tc[0], tc[1], told, want)
		}
	}
	// What is in the feed beside its own tenant's must not show, not even as a gap in the count of items.
	for _, change := range decode[listJSON[changeJSON]](t, a.request("GET", "/v1/changes", adaToken, "")).Items {
		if change.Tenant != adaTenant {
			t.Errorf("the feed shows a change of %s", change.Tenant)
		}
	}
	a.request("GET", "/v1/changes?tenant="+otherTenant, adaToken, "").want(t, 404)
	a.request("GET", "/v1/changes/stream?tenant="+otherTenant, adaToken, "").want(t, 404)
	a.request("GET", tenantPath(strings.ToUpper(adaTenant)), adaToken, "").want(t, 200)
	a.request("GET", tenantPath(otherTenant), allToken, "").want(t, 200)
}

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	deps := func() console.Deps {
		return console.Deps{
			Store: a.store, Sealer: a.sealer, Calendars: noOutlook{}, Directory: noOutlook{}, SignIn: noOutlook{},
			Door: func(context.Context) error { return nil }, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		}
	}
	public := &url.URL{Scheme: "https", Host: "pairsync.example"}
	for name, tc := range map[string]struct {
		tokens []console.Token
		says   string
	}{
		"no name":      {[]console.Token{{Secret: "s"}}, "no name"},
		"no secret":    {[]console.Token{{Name: "a"}}, `"a" is empty`},
		"spaces":       {[]console.Token{{Name: "a", Secret: " s"}}, `"a" is empty or has spaces`},
		"same secret":  {[]console.Token{{Name: "a", Secret: "s"}, {Name: "b", Secret: "s"}}, `"a" and "b" are the same`},
		"not a tenant": {[]console.Token{{Name: "a", Secret: "s", Tenant: "a tenant"}}, "not a tenant id"},
	} {
		_, err := console.New(console.Config{Tokens: tc.tokens, PublicURL: public}, deps())
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want something with %q", name, err, tc.says)
		}
	}
	if _, err := console.New(console.Config{}, console.Deps{}); err == nil {
		t.Error("New takes nothing at all")
	}
	if _, err := console.New(console.Config{}, deps()); err == nil || !strings.Contains(err.Error(), "public URL") {
		t.Errorf("without a public URL: %v", err)
	}
	for name, without := range map[string]func(*console.Deps){
		"store": func(d *console.Deps) { d.Store = nil }, "sealer": func(d *console.Deps) { d.Sealer = nil },
		"directory": func(d *console.Deps) { d.Directory = nil }, "door": func(d *console.Deps) { d.Door = nil },
	} {
		d := deps()
		without(&d)
		if _, err := console.New(console.Config{PublicURL: public}, d); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	rotating := []console.Token{{Name: "a", Secret: "old"}, {Name: "a", Secret: "new"}}
	if _, err := console.New(console.Config{Tokens: rotating, PublicURL: public}, deps()); err != nil {
		t.Errorf("two tokens of one name: %v", err)
	}
}

// TestEveryPathNeedsAToken goes by the description, which also shows that every described path is there.
func TestEveryPathNeedsAToken(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1")
	fill := strings.NewReplacer("{tenant}", adaTenant, "{participant}", "p-1", "{session}", "s-1", "{pending}", "x", "{request}", "x")
	n := 0
	for template, item := range a.description.doc["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			described, ok := operation.(map[string]any)
			if !ok || described["security"] != nil {
				continue
			}
			n++
			path := fill.Replace(template)
			a.request(strings.ToUpper(method), path, "", "").want(t, 401)
			a.request(strings.ToUpper(method), path, "made-up", "").want(t, 401)
			if !strings.Contains(template, "{tenant}") {
				continue
			}
			if res := a.request(strings.ToUpper(method), strings.Replace(path, adaTenant, otherTenant, 1), adaToken, "{}"); res.status != 404 && res.status != 422 {
				t.Errorf("%s %s: a token of another organisation gets %d", method, template, res.status)
			}
		}
	}
	if n < 25 {
		t.Errorf("only %d operations are described", n)
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant)
	t.Run("headers", func(t *testing.T) {
		t.Parallel()
		res := a.request("GET", tenantPath(adaTenant), allToken, "", "X-Request-Id", "trace-7.a_b:c")
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Content-Type": "application/json", "X-Request-Id": "trace-7.a_b:c", "Referrer-Policy": "no-referrer",
		} {
			if got := res.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for _, bad := range []string{"", "two words", strings.Repeat("x", 129), "a\"b"} {
			if got := a.request("GET", "/v1/changes", allToken, "", "X-Request-Id", bad).header.Get("X-Request-Id"); len(got) != 36 {
				t.Errorf("the request id %q becomes %q, want a new UUID", bad, got)
			}
		}
		p := decode[problem](t, a.request("GET", "/v1/changes", "", "", "X-Request-Id", "r-1").want(t, 401))
		if p.Instance != "urn:pairsync:request:r-1" {
			t.Errorf("the problem's instance is %q", p.Instance)
		}
	})
	t.Run("methods", func(t *testing.T) {
		t.Parallel()
		for path, allow := range map[string]string{
			tenantPath(adaTenant):                    "GET, HEAD, OPTIONS, PUT",
			participantPath(adaTenant, "p"):          "GET, HEAD, OPTIONS, PUT",
			sessionPath(adaTenant, "s"):              "GET, HEAD, OPTIONS, PUT",
			tenantPath(adaTenant) + "/sessions":      "GET, HEAD, OPTIONS",
			sessionPath(adaTenant, "s") + "/changes": "GET, HEAD, OPTIONS",
			"/v1/changes":                            "GET, HEAD, OPTIONS",
			"/v1/changes/stream":                     "GET, HEAD, OPTIONS",
			"/v1/openapi.json":                       "GET, HEAD, OPTIONS",
		} {
			for _, method := range []string{"DELETE", "POST", "PATCH"} {
				if got := a.request(method, path, allToken, "").want(t, 405).header.Get("Allow"); got != allow {
					t.Errorf("%s %s: Allow is %q, want %q", method, path, got, allow)
				}
			}
			if got := a.request("OPTIONS", path, allToken, "").want(t, 204).header.Get("Allow"); got != allow {
				t.Errorf("OPTIONS %s: Allow is %q, want %q", path, got, allow)
			}
		}
		res := a.request("HEAD", tenantPath(adaTenant), allToken, "").want(t, 200)
		if len(res.body) != 0 || res.header.Get("Content-Type") != "application/json" {
			t.Errorf("HEAD gives %d bytes of %q", len(res.body), res.header.Get("Content-Type"))
		}
		a.request("HEAD", tenantPath(otherTenant), allToken, "").want(t, 404)
		a.request("HEAD", "/v1/changes/stream", allToken, "").want(t, 200)
	})
	t.Run("paths", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{
			"/", "/v1", "/v1/", "/v2/changes", "/v1/tenants", "/v1/tenants/", "/v1/changes/", "//v1/changes", "/v1/../v1/changes", "/v1/./changes",
			tenantPath(adaTenant) + "/", tenantPath(adaTenant) + "//sessions", sessionPath(adaTenant, "s-1") + "/move", sessionPath(adaTenant, "s-1") + "/explain",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a.request(method, path, allToken, "").want(t, 404)
			}
		}
	})
	t.Run("metrics", func(t *testing.T) {
		t.Parallel()
		a.get("/v1/changes?limit=1").want(t, 200)
		a.get("/nowhere/"+adaTenant).want(t, 404)
		families, err := a.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				for _, label := range metric.GetLabel() {
					seen[label.GetValue()] = true
					if strings.Contains(label.GetValue(), adaTenant) {
						t.Errorf("%s has a tenant for a label", family.GetName())
					}
				}
			}
		}
		if !seen["GET /v1/changes"] || !seen["other"] {
			t.Errorf("the routes are not counted: %v", seen)
		}
	})
}
