package workers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"pairsync/internal/graph"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func (m *manor) is(tenant string, st model.TenantStatus, reason string) {
	m.t.Helper()
	m.until(tenant, string(st)+" "+reason, func(t model.Tenant) bool { return t.Status == st && t.StatusReason == reason })
}

// letsIn is the answer of an organisation that has consented.
func letsIn() answer { return answer{roles: []string{"Calendars.ReadWrite", "User.Read.All"}} }

// refuses is that of one that hasn't.
func refuses(reason string) answer {
	return answer{err: &graph.Error{Kind: graph.KindTenant, Reason: reason, Operation: "token"}}
}

// An organisation that has consented already becomes connected by itself at once, however long the probes are apart.
func TestConsentThatExists(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	m.cfg.TenantProbeMin, m.cfg.TenantProbeMax = time.Hour, time.Hour
	m.entra.set("before", letsIn())
	m.entra.set("while", letsIn())
	m.tenant("before", "")
	m.steward()
	m.is("before", model.TenantConnected, "")
	m.tenant("while", "")
	m.is("while", model.TenantConnected, "")
}

func TestConsentThatComesLater(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	m.entra.set("t", refuses(graph.ReasonAppNotInTenant))
	m.tenant("t", "")
	m.steward()
	m.is("t", model.TenantPendingConsent, graph.ReasonAppNotInTenant)
	// The application is there, and its permissions are not yet.
	m.entra.set("t", answer{})
	m.is("t", model.TenantPendingConsent, graph.ReasonConsentMissing)
	m.entra.set("t", letsIn())
	m.is("t", model.TenantConnected, "")
}

func TestAccessThatIsLostAndComesBack(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.cfg.TenantRecheck, m.post = 20*time.Millisecond, office.sender(t)
	m.entra.set("t", letsIn())
	m.tenant("t", "")
	m.steward()
	m.is("t", model.TenantConnected, "")
	m.entra.set("t", refuses(graph.ReasonSecretExpired))
	m.is("t", model.TenantFailing, graph.ReasonSecretExpired)
	holds(t, m.came(office, 1)[0], "client secret has expired", "PAIRSYNC_CLIENT_SECRET")
	m.entra.set("t", letsIn())
	m.is("t", model.TenantConnected, "")
	m.came(office, 2)
}

// What the answers mean for an organisation that stands in one way or another.
func TestWhatEntrasAnswersMean(t *testing.T) {
	t.Parallel()
	const pending, connected, failing = model.TenantPendingConsent, model.TenantConnected, model.TenantFailing
	m := newManor(t)
	cases := map[string]struct {
		was    model.TenantStatus
		reason string
		answer answer
		want   model.TenantStatus
		why    string
	}{
		"consented":                   {pending, "", letsIn(), connected, ""},
		"consent-missing":             {pending, "", refuses(graph.ReasonConsentMissing), pending, graph.ReasonConsentMissing},
		"our-fault":                   {pending, "", refuses(graph.ReasonSecretWrong), failing, graph.ReasonSecretWrong},
		"no-such-organisation":        {pending, "", refuses(graph.ReasonTenantNotFound), failing, graph.ReasonTenantNotFound},
		"another-organisation":        {pending, "", answer{tid: "other", roles: []string{"Calendars.ReadWrite"}}, failing, graph.ReasonTenantNotFound},
		"consent-withdrawn":           {connected, "", refuses(graph.ReasonConsentMissing), failing, graph.ReasonConsentMissing},
		"exchange-grants-it-alone":    {connected, "", answer{}, connected, ""},
		"mended":                      {failing, "secret_expired", letsIn(), connected, ""},
		"failing-without-permissions": {failing, "secret_expired", answer{}, failing, graph.ReasonConsentMissing},
		"conditional-access": {
			connected, "",
			answer{err: &graph.Error{Kind: graph.KindSignIn, Reason: graph.ReasonSignInRequired}},
			failing,
			graph.ReasonSignInRequired,
		},
		"outage":           {connected, "", answer{err: &graph.Error{Kind: graph.KindUnavailable, Reason: graph.ReasonServerError}}, connected, ""},
		"outage-meanwhile": {failing, "app_disabled", answer{err: context.DeadlineExceeded}, failing, "app_disabled"},
		"busy":             {pending, "", answer{err: &graph.Error{Kind: graph.KindThrottled, Reason: graph.ReasonThrottled}}, pending, ""},
		"disconnected":     {model.TenantDisconnected, "asked_for", letsIn(), model.TenantDisconnected, "asked_for"},
	}
	for id, tt := range cases {
		m.tenant(id, "")
		m.stands(id, tt.was, tt.reason)
		m.entra.set(id, tt.answer)
	}
	m.cfg.TenantRecheck = 50 * time.Millisecond
	stop := m.steward()
	t.Cleanup(func() {
		stop()
		if n := m.entra.times("disconnected"); n != 0 {
			t.Errorf("one that is disconnected was asked %d times", n)
		}
	})
	for id, tt := range cases {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			if tt.was != model.TenantDisconnected {
				testbed.Eventually(t, "two answers", func(context.Context) bool { return m.entra.times(id) >= 2 })
			}
			testbed.Eventually(t, "what that means", func(ctx context.Context) bool {
				tn, err := m.store.Tenant(ctx, id)
				return err == nil && tn.Status == tt.want && tn.StatusReason == tt.why
			})
		})
	}
}

// Where each person signs in, the organisation as a whole is not asked.
func TestPerUserTenantsAreLeftAlone(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	m.entra.set("domain", letsIn())
	m.entra.set("people", letsIn())
	if _, _, err := m.store.PutTenant(t.Context(), model.Tenant{ID: "people", OwnerEmail: "a@b.example", Method: model.MethodPerUser}); err != nil {
		t.Fatal(err)
	}
	m.tenant("domain", "")
	m.steward()
	m.is("domain", model.TenantConnected, "")
	if n := m.entra.times("people"); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// Of several processes one asks, and another takes over when it ends; one that hangs delays nobody else.
func TestOneOfManyAsks(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	m.cfg.TenantProbeMin, m.cfg.TenantProbeMax = 20*time.Millisecond, time.Hour
	m.entra.set("hangs", answer{hangs: true})
	m.tenant("hangs", "")
	stop := m.steward()
	testbed.Eventually(t, "the first to ask", func(context.Context) bool { return m.entra.times("hangs") == 1 })
	m.steward()
	m.steward()
	m.entra.set("t", letsIn())
	m.tenant("t", "")
	m.is("t", model.TenantConnected, "")
	if n := m.entra.times("t"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	stop()
	m.entra.set("u", letsIn())
	m.tenant("u", "")
	m.is("u", model.TenantConnected, "")
}

// Owners are told of the certificate's end once for each distance, whatever the number of processes, and nobody is where it
// can't be known.
func TestExpiryForecast(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post, m.cfg.ExpiryInterval = office.sender(t), 20*time.Millisecond
	m.tenant("t", "")
	m.tenant("gone", "")
	m.stands("gone", model.TenantDisconnected, "asked_for")
	ends := time.Now().Add(40 * 24 * time.Hour)
	expires := func(in time.Duration) {
		m.entra.mu.Lock()
		defer m.entra.mu.Unlock()
		m.entra.expiresAt = ends.Add(in - 40*24*time.Hour)
	}
	stop := m.steward()
	m.steward()
	m.came(office, 0)
	expires(40 * 24 * time.Hour)
	testbed.Eventually(t, "the metric", func(context.Context) bool {
		return m.metric("pairsync_credential_expiry_seconds") > float64(2*39*24*3600)
	})
	m.came(office, 0)
	expires(29 * 24 * time.Hour)
	l := m.came(office, 1)[0]
	if !strings.HasPrefix(l.subject, "School of t: the application's certificate expires on ") {
		t.Errorf("subject %s", l.subject)
	}
	holds(t, l, "in 30 days or less", "PAIRSYNC_CLIENT_CERTIFICATE_FILE")
	stop()
	m.steward()
	expires(29 * 24 * time.Hour)
	// The same distance for another certificate is news, and a nearer one is.
	expires(6 * 24 * time.Hour)
	holds(t, m.came(office, 2)[1], "in 7 days or less")
}
