package workers_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/callback"
	"pairsync/internal/mail"
	"pairsync/internal/testbed"
	"pairsync/model"
	"pairsync/workers"
)

// manor is a database with stewards that look after it.
type manor struct {
	t      *testing.T
	store  *model.Store
	sealer *model.Sealer
	cfg    workers.StewardConfig
	// receivers may reach this machine.
	receivers *callback.Client
	post      *mail.Sender
	entra     *entra
	// registries are those of the stewards that were started.
	registries []*prometheus.Registry
	logs       logs
	hour       int
}

func newManor(t *testing.T) *manor {
	t.Helper()
	sealer, err := model.NewSealer([][]byte{[]byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	receivers, err := callback.New(callback.Config{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(receivers.Close)
	m := &manor{
		t: t, store: testbed.Store(t), sealer: sealer, receivers: receivers, entra: &entra{},
		cfg: workers.StewardConfig{
			CallbackRetryMin: 2 * time.Millisecond, CallbackRetryMax: 50 * time.Millisecond, CallbackPauseTime: 10 * time.Millisecond,
			CallbackProbeMax: 50 * time.Millisecond, MailGather: 50 * time.Millisecond,
			MailRetryMin: 5 * time.Millisecond, MailRetryMax: 50 * time.Millisecond,
			TenantProbeMin: 10 * time.Millisecond, TenantProbeMax: 100 * time.Millisecond, PollInterval: 100 * time.Millisecond,
			RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond,
		},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", &m.logs)
		}
	})
	return m
}

// steward starts one; it ends with the test, or when stop is called.
func (m *manor) steward() (stop func()) {
	m.t.Helper()
	reg := prometheus.NewRegistry()
	m.registries = append(m.registries, reg)
	deps := workers.StewardDeps{
		Store: m.store, Sealer: m.sealer, Receivers: m.receivers, Entra: m.entra, Log: m.logs.logger(), Registerer: reg,
	}
	if m.post != nil {
		deps.Post = m.post
	}
	s, err := workers.NewSteward(m.cfg, deps)
	if err != nil {
		m.t.Fatal(err)
	}
	return testbed.Run(m.t, "a steward", s.Run)
}

// tenant adds an organisation with the people p-1 and p-2 and gives its callback secret, if it has a receiver.
func (m *manor) tenant(id, callbackURL string) (secret string) {
	m.t.Helper()
	m.putTenant(id, callbackURL)
	for i := range 2 {
		p := model.Participant{Tenant: id, ID: fmt.Sprintf("p-%d", i+1), Email: fmt.Sprintf("person%d@%s.example", i+1, id)}
		if _, _, err := m.store.PutParticipant(m.t.Context(), p); err != nil {
			m.t.Fatal(err)
		}
	}
	if callbackURL == "" {
		return ""
	}
	secret = newSecret()
	if set, err := m.store.SetCallbackSecret(m.t.Context(), id, m.seal(secret)); err != nil || !set {
		m.t.Fatalf("setting the secret: %t, %v", set, err)
	}
	return secret
}

func (m *manor) putTenant(id, callbackURL string) {
	m.t.Helper()
	if _, _, err := m.store.PutTenant(m.t.Context(), model.Tenant{
		ID: id, Name: "School of " + id, OwnerEmail: "owner@" + id + ".example", Method: model.MethodDomainWide, CallbackURL: callbackURL,
	}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manor) seal(secret string) []byte {
	m.t.Helper()
	sealed, err := m.sealer.Seal(model.PurposeCallbackSecret, []byte(secret))
	if err != nil {
		m.t.Fatal(err)
	}
	return sealed
}

// newSecret is one as Standard Webhooks writes it.
func newSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text())) }

// move books a session, or moves it to another hour: one change.
func (m *manor) move(tenant, session string) {
	m.t.Helper()
	m.hour++
	start := time.Now().UTC().Truncate(time.Hour).Add(time.Duration(24+m.hour) * time.Hour)
	if _, _, err := m.store.PutSession(m.t.Context(), model.SessionRequest{
		Tenant: tenant, ID: session, Organizer: "p-1", Attendees: []string{"p-2"}, StartsAt: start, EndsAt: start.Add(30 * time.Minute),
		TimeZone: "Europe/Berlin", Title: "Mentoring", At: time.Now(),
	}); err != nil {
		m.t.Fatal(err)
	}
}

// ids are the ids of the changes of one of t's sessions, in order.
func (m *manor) ids(session string) []string {
	m.t.Helper()
	changes, err := m.store.SessionChanges(m.t.Context(), "t", session, 0, 500)
	if err != nil {
		m.t.Fatal(err)
	}
	ids := make([]string, 0, len(changes))
	for _, ch := range changes {
		ids = append(ids, ch.ID)
	}
	return ids
}

// until blocks until a tenant is as it should be.
func (m *manor) until(tenant, what string, cond func(model.Tenant) bool) {
	m.t.Helper()
	testbed.Eventually(m.t, "tenant "+tenant+": "+what, func(ctx context.Context) bool {
		t, err := m.store.Tenant(ctx, tenant)
		return err == nil && cond(t)
	})
}

// metric sums a metric over all stewards.
func (m *manor) metric(name string, labels ...string) float64 {
	m.t.Helper()
	var sum float64
	for _, reg := range m.registries {
		h := house{t: m.t, registry: reg}
		sum += h.metric(name, labels...)
	}
	return sum
}

func TestBadStewardConfig(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	deps := workers.StewardDeps{
		Store: m.store, Sealer: m.sealer, Receivers: m.receivers, Entra: m.entra, Log: m.logs.logger(), Registerer: prometheus.NewRegistry(),
	}
	for _, cfg := range []workers.StewardConfig{
		{CallbackWidth: -1},
		{MailGather: -1},
		{Grace: -1},
		{CallbackRetryMin: time.Hour, CallbackRetryMax: time.Minute},
		{TenantProbeMax: time.Second},
		{MailRetryMax: time.Second},
	} {
		if _, err := workers.NewSteward(cfg, deps); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	for i, without := range []func(*workers.StewardDeps){
		func(d *workers.StewardDeps) { d.Store = nil }, func(d *workers.StewardDeps) { d.Sealer = nil },
		func(d *workers.StewardDeps) { d.Receivers = nil }, func(d *workers.StewardDeps) { d.Entra = nil },
		func(d *workers.StewardDeps) { d.Log = nil }, func(d *workers.StewardDeps) { d.Registerer = nil },
	} {
		d := deps
		without(&d)
		if _, err := workers.NewSteward(workers.StewardConfig{}, d); err == nil {
			t.Errorf("dependency %d is not required", i)
		}
	}
}

func TestStewardMetricsExistFromTheStart(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	m.steward()
	families, err := m.registries[0].Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for _, f := range families {
		have[f.GetName()] = len(f.GetMetric())
	}
	if have["pairsync_callbacks_total"] != 3 || have["pairsync_mails_total"] != 5 {
		t.Errorf("%v", have)
	}
}
