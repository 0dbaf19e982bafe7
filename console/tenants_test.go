package console_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

func TestPutTenant(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	path := tenantPath(adaTenant)
	a.get(path).refused(t, 404, "")

	first := a.put(path, tenantBody).want(t, 201)
	want := map[string]any{
		"id": adaTenant, "name": "Contoso", "owner_email": "owner@contoso.example", "method": "domain_wide", "callback_url": nil, "callback": nil,
		"policy": map[string]any{"reschedule": "apply", "cancel": "apply"}, "status": "pending_consent", "status_reason": nil,
	}
	if diff := cmp.Diff(want, decode[map[string]any](t, first)); diff != "" {
		t.Errorf("the new tenant (-want +got):\n%s", diff)
	}
	again := a.put(path, tenantBody).want(t, 200)
	if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
		t.Errorf("the same PUT again (-first +second):\n%s", diff)
	}
	if _, err := a.store.SetTenantStatus(t.Context(), adaTenant, model.TenantFailing, "consent_missing"); err != nil {
		t.Fatal(err)
	}
	changed := `{"name":"Contoso Ltd","owner_email":"new@contoso.example","method":"per_user","callback_url":"https://platform.example/hook","policy":{"reschedule":"ask","cancel":"notify"}}`
	a.put("/v1/tenants/"+strings.ToUpper(adaTenant), changed).want(t, 200)
	want = map[string]any{
		"callback": map[string]any{"status": "ok", "reason": nil, "queued": 0.0},
		"id":       adaTenant, "name": "Contoso Ltd", "owner_email": "new@contoso.example", "method": "per_user", "callback_url": "https://platform.example/hook",
		"policy": map[string]any{"reschedule": "ask", "cancel": "notify"}, "status": "failing", "status_reason": "consent_missing",
	}
	if diff := cmp.Diff(want, decode[map[string]any](t, a.get(path).want(t, 200))); diff != "" {
		t.Errorf("the changed tenant (-want +got):\n%s", diff)
	}
}

func TestPutTenantRefuses(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	with := func(name string, value any) string {
		body := map[string]any{}
		_ = json.Unmarshal([]byte(tenantBody), &body)
		if value == nil {
			delete(body, name)
		} else {
			body[name] = value
		}
		raw, _ := json.Marshal(body)
		return string(raw)
	}
	for name, tc := range map[string]struct {
		body, field string
	}{
		"no name":             {with("name", nil), "name"},
		"blank name":          {with("name", " "), "name"},
		"name is a number":    {with("name", 7), "name"},
		"name with NUL":       {with("name", "a\x00b"), "name"},
		"long name":           {with("name", strings.Repeat("é", 257)), "name"},
		"no owner":            {with("owner_email", nil), "owner_email"},
		"owner is nobody":     {with("owner_email", "nobody"), "owner_email"},
		"owner with a name":   {with("owner_email", "Ada <ada@contoso.example>"), "owner_email"},
		"no method":           {with("method", nil), "method"},
		"other method":        {with("method", "magic"), "method"},
		"callback to a file":  {with("callback_url", "file:///etc/passwd"), "callback_url"},
		"callback relative":   {with("callback_url", "/hook"), "callback_url"},
		"callback with a key": {with("callback_url", "https://u:p@x.example/"), "callback_url"},
		"callback an object":  {with("callback_url", map[string]any{}), "callback_url"},
		"policy is a word":    {with("policy", "ask"), "policy"},
		"policy unknown":      {with("policy", map[string]any{"move": "ask"}), "policy.move"},
		"policy choice":       {with("policy", map[string]any{"cancel": "perhaps"}), "policy.cancel"},
		"unknown field":       {with("nickname", "x"), "nickname"},
		"name in other case":  {with("Name", "x"), "Name"},
		"given twice":         {`{"name":"a","name":"b","owner_email":"o@x.example","method":"per_user"}`, "name"},
		"not an object":       {`[]`, ""},
		"null":                {`null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.put(tenantPath(adaTenant), tc.body).refused(t, 422, tc.field)
		})
	}
	for _, id := range []string{"a%20b", "a%2Fb", "%2E%2E", "caf%C3%A9", "%00", "%FF", strings.Repeat("x", 49)} {
		a.put("/v1/tenants/"+id, tenantBody).refused(t, 422, "tenant")
		a.get("/v1/tenants/"+id).want(t, 404)
	}
	for _, id := range []string{"contoso.onmicrosoft.com", "t_1-2", strings.Repeat("x", 48)} {
		a.put("/v1/tenants/"+id, tenantBody).want(t, 201)
		a.get("/v1/tenants/"+id).want(t, 200)
	}
	a.get(tenantPath(adaTenant)).want(t, 404)
}

func TestBodies(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	path := tenantPath(adaTenant)
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
		says    string
	}{
		"no body":        {"", nil, 400, "one JSON object"},
		"not JSON":       {"name=Contoso", nil, 400, "line 1"},
		"cut off":        {`{"name":"Con`, nil, 400, "one JSON object"},
		"two values":     {`{} {}`, nil, 400, "line 1, byte 4"},
		"not UTF-8":      {"{\"name\":\"\xff\"}", nil, 400, "UTF-8"},
		"too large":      {`{"name":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413, "65536"},
		"deep":           {strings.Repeat("[", 30_000), nil, 400, "one JSON object"},
		"a form":         {tenantBody, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/json"},
		"other charset":  {tenantBody, []string{"Content-Type", "application/json; charset=latin1"}, 415, "UTF-8"},
		"no type at all": {tenantBody, []string{"Content-Type", ""}, 201, ""},
		"charset":        {tenantBody, []string{"Content-Type", "Application/JSON; charset=UTF-8"}, 200, ""},
		"kind of JSON":   {tenantBody, []string{"Content-Type", "application/vnd.platform+json"}, 200, ""},
		"broken type":    {tenantBody, []string{"Content-Type", ";;"}, 415, ""},
	} {
		res := a.request("PUT", path, allToken, tc.body, tc.headers...)
		// Which of the good ones is the first depends on the order.
		if res.status != tc.status && res.status/100 != 2 || tc.status/100 != res.status/100 {
			t.Errorf("%s: got %d, want %d: %s", name, res.status, tc.status, res.body)
		}
		if !strings.Contains(string(res.body), tc.says) {
			t.Errorf("%s: the answer doesn't say %q: %s", name, tc.says, res.body)
		}
	}
}
