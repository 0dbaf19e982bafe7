package console_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

type integrationItem struct {
	ID, Participant, Status string
	Note, Answer            *string
}

func TestIntegrationRequests(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	list := tenantPath(adaTenant) + "/integration-requests"
	a.post(list, `{"participant":"p-1"}`).refused(t, 404, "")
	a.people(adaTenant, "p-1", "p-2")
	for name, tc := range map[string]struct{ body, field string }{
		"nobody":   {`{}`, "participant"},
		"unknown":  {`{"participant":"p-9"}`, "participant"},
		"long":     {`{"participant":"p-1","note":"` + strings.Repeat("x", 1001) + `"}`, "note"},
		"misspelt": {`{"participant":"p-1","message":"x"}`, "message"},
	} {
		if p := a.post(list, tc.body).refused(t, 422, tc.field); p.Detail == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	a.post(list, "").want(t, 400)
	first := decode[integrationItem](t, a.post(list, `{"participant":"p-1","note":"Please!\nThank you."}`).want(t, 201))
	if first.Status != "open" || first.Participant != "p-1" || *first.Note != "Please!\nThank you." || first.Answer != nil {
		t.Errorf("the request: %+v", first)
	}
	if again := decode[integrationItem](t, a.post(list, `{"participant":"p-1"}`).want(t, 200)); again.ID != first.ID {
		t.Errorf("asked twice: %+v", again)
	}
	second := decode[integrationItem](t, a.post(list, `{"participant":"p-2"}`).want(t, 201))

	approved := decode[integrationItem](t, a.post(list+"/"+first.ID+"/approve", `{"note":"Welcome"}`).want(t, 200))
	if approved.Status != "approved" || *approved.Answer != "Welcome" {
		t.Errorf("approved: %+v", approved)
	}
	a.post(list+"/"+first.ID+"/approve", "").want(t, 200)
	if p := a.post(list+"/"+first.ID+"/decline", "").refused(t, 409, ""); !strings.Contains(p.Detail, "approved") {
		t.Errorf("another answer: %+v", p)
	}
	a.post(list+"/"+second.ID+"/decline", "").want(t, 200)
	a.post(list+"/nonsense/decline", "").refused(t, 404, "")
	// Whoever was answered may ask again.
	third := decode[integrationItem](t, a.post(list, `{"participant":"p-2"}`).want(t, 201))
	if third.ID == second.ID {
		t.Error("asking again gives the request that was declined")
	}
	for query, want := range map[string][]string{
		"": {first.ID, second.ID, third.ID}, "?status=open": {third.ID}, "?status=declined": {second.ID}, "?status=approved": {first.ID}, "?limit=2": {first.ID, second.ID},
	} {
		var got []string
		for _, item := range decode[listJSON[integrationItem]](t, a.get(list+query).want(t, 200)).Items {
			got = append(got, item.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", query, got, want)
		}
	}
	a.get(list+"?status=perhaps").refused(t, 400, "status")
	a.request("GET", tenantPath(otherTenant)+"/integration-requests", adaToken, "").refused(t, 404, "")
}

func TestListParticipants(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	list := tenantPath(adaTenant) + "/participants"
	a.get(list).refused(t, 404, "")
	a.people(adaTenant)
	var want []string
	for i := range 7 {
		id := fmt.Sprintf("p %d/ü", i)
		a.put(participantPath(adaTenant, id), `{"email":"x@contoso.example"}`).want(t, 201)
		want = append(want, id)
	}
	for _, limit := range []int{1, 3, 7, 100} {
		var got []string
		for cursor := ""; ; {
			p := decode[listJSON[struct{ ID string }]](t, a.get(fmt.Sprintf("%s?limit=%d&cursor=%s", list, limit, url.QueryEscape(cursor))).want(t, 200))
			for _, item := range p.Items {
				got = append(got, item.ID)
			}
			if p.NextCursor == nil {
				break
			}
			cursor = *p.NextCursor
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	a.get(list+"?cursor=!").refused(t, 400, "cursor")
}

func TestIncidentsAreShown(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	list := tenantPath(adaTenant) + "/incidents"
	a.people(adaTenant, "p-1", "p-2")
	if got := decode[listJSON[map[string]any]](t, a.get(list).want(t, 200)); len(got.Items) != 0 {
		t.Errorf("without trouble: %+v", got)
	}
	if _, err := a.store.SetTenantStatus(t.Context(), adaTenant, model.TenantConnected, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.SetTenantStatus(t.Context(), adaTenant, model.TenantFailing, "secret_expired"); err != nil {
		t.Fatal(err)
	}
	open := decode[listJSON[map[string]any]](t, a.get(list+"?status=open").want(t, 200))
	if len(open.Items) != 1 || open.Items[0]["scope"] != "tenant" || open.Items[0]["reason"] != "secret_expired" || open.Items[0]["closed_at"] != nil {
		t.Errorf("in trouble: %+v", open)
	}
	if _, err := a.store.SetTenantStatus(t.Context(), adaTenant, model.TenantConnected, ""); err != nil {
		t.Fatal(err)
	}
	if open := decode[listJSON[map[string]any]](t, a.get(list+"?status=open").want(t, 200)); len(open.Items) != 0 {
		t.Errorf("mended: %+v", open)
	}
	if all := decode[listJSON[map[string]any]](t, a.get(list).want(t, 200)); len(all.Items) != 1 || all.Items[0]["closed_at"] == nil {
		t.Errorf("afterwards: %+v", all)
	}
	a.get(list+"?status=closed").refused(t, 400, "status")
}

func TestCallbackSecret(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	path := tenantPath(adaTenant)
	a.people(adaTenant)
	a.post(path+"/callback-secret", "").refused(t, 409, "callback_url")
	secretOf := func(r answer) string {
		return decode[struct {
			CallbackSecret string `json:"callback_secret"`
		}](t, r).CallbackSecret
	}
	with := strings.TrimSuffix(tenantBody, "}") + `,"callback_url":"https://platform.example/hook"}`
	first := secretOf(a.put(path, with).want(t, 200))
	if !regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{43}=$`).MatchString(first) {
		t.Errorf("the secret is %q", first)
	}
	for _, again := range []answer{a.put(path, with), a.put(path, strings.Replace(with, "/hook", "/other", 1)), a.get(path)} {
		if strings.Contains(string(again.body), "whsec_") || strings.Contains(string(again.body), "callback_secret") {
			t.Errorf("the secret is shown again: %s", again.body)
		}
	}
	second := secretOf(a.post(path+"/callback-secret", "").want(t, 200))
	if second == first || second == "" {
		t.Errorf("the new secret is %q", second)
	}
	sealed, err := a.store.CallbackSecrets(t.Context(), adaTenant)
	if err != nil || len(sealed) != 2 {
		t.Fatalf("%d secrets sign, %v", len(sealed), err)
	}
	for i, want := range []string{second, first} {
		if strings.Contains(string(sealed[i]), "whsec_") {
			t.Error("a secret is stored as it is")
		}
		if got, err := a.sealer.Open(model.PurposeCallbackSecret, sealed[i]); err != nil || string(got) != want {
			t.Errorf("secret %d opens as %q, %v", i, got, err)
		}
	}
	// A tenant that is new with a callback_url is told at once.
	if got := secretOf(a.put(tenantPath(otherTenant), with).want(t, 201)); got == "" || got == first {
		t.Errorf("a new tenant's secret is %q", got)
	}
	if logged := a.logs.String(); strings.Contains(logged, "whsec_") {
		t.Error("a secret is in the log")
	}
}
