package subscriptions

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

func (w *world) renewer() *Renewer {
	w.t.Helper()
	r, err := New(w.cfg, Deps{
		Store: w.store, Graph: w.graph, ClientStates: w.states, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestDisconnectedStaysDisconnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	if _, err := w.store.SetTenantStatus(t.Context(), contoso, model.TenantDisconnected, "asked_for"); err != nil {
		t.Fatal(err)
	}
	r := w.renewer()
	r.tenantWell(t.Context(), contoso)
	r.tenantFailed(t.Context(), contoso, &graph.Error{Kind: graph.KindTenant, Reason: graph.ReasonSecretExpired})
	if tn, err := w.store.Tenant(t.Context(), contoso); err != nil || tn.Status != model.TenantDisconnected || tn.StatusReason != "asked_for" {
		t.Errorf("%+v, %v", tn, err)
	}
}

func TestMetricsExistFromTheStart(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	if n := testutil.CollectAndCount(m.renewals); n != len(results()) {
		t.Errorf("%d of %d results", n, len(results()))
	}
	known := map[result]bool{}
	for _, r := range results() {
		known[r] = true
	}
	for _, kind := range []graph.Kind{
		graph.KindNotFound, graph.KindMailbox, graph.KindSignIn, graph.KindTenant, graph.KindThrottled, graph.KindUnavailable,
		graph.KindConflict, graph.KindPrecondition, graph.KindGone, graph.KindLifetime, graph.KindHandshake, graph.KindQuota,
		graph.KindInvalid, "",
	} {
		if !known[resultOf(kind)] {
			t.Errorf("%s counts as %s, which is not in the set", kind, resultOf(kind))
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestJudged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ due, want time.Duration }{
		"overdue":                           {-time.Second, 0},
		"the database's clock is ahead":     {30 * time.Second, 30 * time.Second},
		"claimed for another reason":        {time.Hour, 0},
		"never due":                         {-24 * 365 * time.Hour, 0},
		"the database's clock is far ahead": {skew, 0},
	} {
		if got := judged(noon, noon.Add(tc.due)).Sub(noon); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestKnownOutcomes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"refused":                   {&graph.Error{Kind: graph.KindMailbox, Status: 403}, true},
		"throttled":                 {&graph.Error{Kind: graph.KindThrottled, Status: 429}, true},
		"a mistake of ours":         {&graph.Error{Kind: graph.KindInvalid, Status: 400}, true},
		"made, but unreadable":      {&graph.Error{Kind: graph.KindInvalid, Status: 201}, false},
		"no answer":                 {&graph.Error{Kind: graph.KindUnavailable}, false},
		"a server in trouble":       {&graph.Error{Kind: graph.KindUnavailable, Status: 503}, false},
		"our own database":          {model.ErrNotFound, false},
		"the handshake didn't work": {&graph.Error{Kind: graph.KindHandshake, Status: 400}, true},
	} {
		if got := known(tc.err); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestWithdrawnConsent has an organisation withdraw its permissions and leave the application: tokens are still given, and each
// mailbox is denied. That is the organisation's trouble once all are, and stays it until one can be read.
func TestWithdrawnConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{GrantLifetime: 2 * time.Second, MinLifetime: -1})
	for _, name := range []string{"ada", "grace"} {
		u := w.organizer(contoso, name)
		w.books(contoso, name, time.Hour)
		defer func() { w.known(contoso, name, u.ID, "") }()
	}
	w.runs()
	w.tenantIs(model.TenantConnected, "")
	if err := w.sim.SetConsent(contoso, simulator.ConsentWithdrawn); err != nil {
		t.Fatal(err)
	}
	w.tenantIs(model.TenantFailing, graph.ReasonPermissionMissing)
	denials := func() (n int) {
		for answer, times := range w.sim.Counters().Answers {
			if strings.HasSuffix(answer, " 403") {
				n += times
			}
		}
		return n
	}
	before := denials()
	testbed.Eventually(t, "more tries", func(ctx context.Context) bool {
		if tn, err := w.store.Tenant(ctx, contoso); err != nil || tn.Status != model.TenantFailing {
			t.Fatalf("the tenant is %s, %v", tn.Status, err)
		}
		return denials() > before+6
	})
	if err := w.sim.SetConsent(contoso, simulator.ConsentGranted); err != nil {
		t.Fatal(err)
	}
	w.tenantIs(model.TenantConnected, "")
}
