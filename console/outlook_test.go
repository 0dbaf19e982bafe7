package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/console"
	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// noOutlook is a world without Outlook.
type noOutlook struct{}

func away() error { return &graph.Error{Kind: graph.KindUnavailable, Reason: graph.ReasonNetwork} }

func (noOutlook) EventByICalUID(context.Context, graph.Mailbox, string) (graph.Event, error) {
	return graph.Event{}, away()
}

func (noOutlook) MailboxSettings(context.Context, graph.Mailbox) (graph.MailboxSettings, error) {
	return graph.MailboxSettings{}, away()
}

func (noOutlook) Schedules(context.Context, graph.Mailbox, []string, time.Time, time.Time) ([]graph.Schedule, error) {
	return nil, away()
}

func (noOutlook) TokenTenant(context.Context, string) (string, []string, error) {
	return "", nil, away()
}

func (noOutlook) User(context.Context, string, string) (string, error) { return "", away() }

func (noOutlook) Users(context.Context, string, int) ([]graph.DirectoryUser, error) {
	return nil, away()
}

func (noOutlook) ConsentURL(tenant, state, redirect string) string {
	return "https://login.example/" + tenant + "/adminconsent?" + url.Values{"state": {state}, "redirect_uri": {redirect}}.Encode()
}

func (noOutlook) AuthorizeURL(req graph.AuthorizeRequest) string {
	return "https://login.example/" + req.Tenant + "/authorize?" + url.Values{"state": {req.State}}.Encode()
}

func (noOutlook) ExchangeCode(context.Context, graph.CodeExchange) (graph.SignIn, error) {
	return graph.SignIn{}, away()
}

func newSealer(tb testing.TB) *model.Sealer {
	tb.Helper()
	sealer, err := model.NewSealer([][]byte{bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		tb.Fatal(err)
	}
	return sealer
}

// office is a Console and the simulated Outlook of an organisation; they meet over HTTP only.
type office struct {
	*api

	sim    *simulator.Simulator
	client *graph.Client
	// door is what the way to our own webhook ends with.
	door error
}

// startOffice starts a Console beside an Outlook with two people, who are participants p-1 and p-2.
func startOffice(t *testing.T, method model.Method, edit ...func(*console.Config)) *office {
	t.Helper()
	sim, err := simulator.New(simulator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	testbed.Run(t, "the simulator", sim.Run)
	o := &office{sim: sim}
	if _, err := sim.AddTenant(simulator.Tenant{ID: adaTenant, Name: "Contoso", Domain: "contoso.example"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace", "Stranger"} {
		user := simulator.User{Tenant: adaTenant, Name: name, Email: strings.ToLower(name) + "@contoso.example", TimeZone: "W. Europe Standard Time"}
		if _, err := sim.AddUser(user); err != nil {
			t.Fatal(err)
		}
	}
	kept := &keptSignIns{}
	o.client, err = graph.New(graph.Config{
		URL: server.URL + "/v1.0", AuthorityURL: server.URL, ClientID: "app", ClientSecret: "secret", Delegated: kept,
	}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.client.Close)
	o.api = startAPIWith(t, testbed.DatabaseURL(t), console.Deps{
		Calendars: o.client, Directory: o.client, SignIn: o.client, Door: func(context.Context) error { return o.door },
	}, edit...)
	kept.store, kept.sealer = o.store, o.sealer
	o.put(tenantPath(adaTenant), strings.Replace(tenantBody, "domain_wide", string(method), 1)).want(t, 201)
	o.put(participantPath(adaTenant, "p-1"), `{"email":"ada@contoso.example","name":"Ada"}`).want(t, 201)
	o.put(participantPath(adaTenant, "p-2"), `{"email":"grace@contoso.example","name":"Grace"}`).want(t, 201)
	return o
}

// keptSignIns gives Graph the sign-ins that the console stored.
type keptSignIns struct {
	store  *model.Store
	sealer *model.Sealer
}

func (k *keptSignIns) PerUser(ctx context.Context, tenant string) (bool, error) {
	t, err := k.store.Tenant(ctx, tenant)
	return t.Method == model.MethodPerUser, err
}

func (k *keptSignIns) RefreshToken(ctx context.Context, mb graph.Mailbox) (string, error) {
	id, err := k.store.ParticipantOfMailbox(ctx, mb.Tenant, mb.User)
	if err != nil {
		return "", ignoreMissing(err)
	}
	sealed, _, err := k.store.RefreshToken(ctx, mb.Tenant, id)
	if err != nil {
		return "", ignoreMissing(err)
	}
	token, err := k.sealer.Open(model.PurposeRefreshToken, sealed)
	return string(token), err
}

func (k *keptSignIns) SaveRefreshToken(context.Context, graph.Mailbox, string, string) error {
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	return err
}

// linkJSON is a link to Microsoft.
type linkJSON struct{ URL string }

// microsoft gets a link to Microsoft.
func (a *api) microsoft(path string) string {
	a.t.Helper()
	return decode[linkJSON](a.t, a.post(path, "").want(a.t, 200)).URL
}

// visit opens an address as a browser does, without following where it leads.
func visit(tb testing.TB, method, address string) (status int, header http.Header, body string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, address, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	client.CloseIdleConnections()
	return res.StatusCode, res.Header, string(raw)
}

// answerAt answers a page of the simulated login, and gives the address to which it leads.
func answerAt(tb testing.TB, address string, answer ...string) string {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	for i := 0; i+1 < len(answer); i += 2 {
		q.Set(answer[i], answer[i+1])
	}
	u.RawQuery = q.Encode()
	status, header, body := visit(tb, http.MethodGet, u.String())
	if status != http.StatusFound {
		tb.Fatalf("the login answers %d: %s", status, body)
	}
	return header.Get("Location")
}

// shows opens a page that people come back to, and checks its status, what it says, and that it can do nothing.
func shows(tb testing.TB, address string, status int, says ...string) string {
	tb.Helper()
	got, header, body := visit(tb, http.MethodGet, address)
	if got != status {
		tb.Fatalf("the page answers %d, want %d: %s", got, status, body)
	}
	for _, text := range says {
		if !strings.Contains(body, text) {
			tb.Errorf("the page doesn't say %q: %s", text, body)
		}
	}
	policy := header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		tb.Errorf("the policy is %q", policy)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if header.Get(name) != want {
			tb.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
	if strings.Contains(body, "<script") || strings.Contains(body, "<style") || strings.Contains(body, " style=") || strings.Contains(body, " on") && strings.Contains(body, "onload") {
		tb.Errorf("the page holds scripts or styles: %s", body)
	}
	return body
}

// tenantStatus is how the organisation stands.
func (a *api) tenantStatus() string {
	a.t.Helper()
	return decode[struct{ Status string }](a.t, a.get(tenantPath(adaTenant)).want(a.t, 200)).Status
}

// mailboxStatus is how Ada's mailbox stands.
func (a *api) mailboxStatus() string {
	a.t.Helper()
	return decode[struct{ Mailbox struct{ Status string } }](a.t, a.get(participantPath(adaTenant, "p-1")).want(a.t, 200)).Mailbox.Status
}

func toJSON(tb testing.TB, v any) string {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

// serve starts a server and gives its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
