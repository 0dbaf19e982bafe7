package main

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pairsync/internal/simulator"
)

// share is a copy of the site for another process with some of the roles: addresses of its own, the rest in common.
func (s *site) share(t *testing.T) *site {
	t.Helper()
	one := *s
	one.ops = freeAddr(t)
	one.env = maps.Clone(s.env)
	one.env["PAIRSYNC_OPS_ADDR"], one.env["PAIRSYNC_DATA_DIR"] = one.ops, dataDir(t)
	return &one
}

// secretInFile hands a variable over as a file.
func (s *site) secretInFile(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(s.env[name]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env[name+"_FILE"] = path
	delete(s.env, name)
}

// TestRolesInProcessesOfTheirOwn splits the roles over processes that share NATS and PostgreSQL, with subscriptions that
// live for seconds. One of the two workers is killed amid its work, for good.
func TestRolesInProcessesOfTheirOwn(t *testing.T) {
	t.Parallel()
	const life = 6 * time.Second
	s := newSite(t, func(cfg *simulator.Config) { cfg.MinLifetime, cfg.GrantLifetime = -1, life })
	addr := freeAddr(t)
	startNATS(t, t.TempDir(), addr)
	db := startDatabase(t)
	s.env["PAIRSYNC_NATS_URL"], s.env["PAIRSYNC_DATABASE_URL"] = "nats://"+addr, db.server.URL()
	s.env["PAIRSYNC_LOG_FORMAT"], s.env["PAIRSYNC_MAILBOX_CONCURRENCY"] = "text", "1"
	s.env["PAIRSYNC_API_TOKENS"] += ",fabrikam@" + organisations()[1].tenant + ":herring"
	for _, name := range []string{"DATABASE_URL", "CLIENT_SECRET", "SECRET_KEYS", "API_TOKENS"} {
		s.secretInFile(t, "PAIRSYNC_"+name)
	}

	door, worker, other, renewer := s.share(t), s.share(t), s.share(t), s.share(t)
	for _, name := range []string{"CLIENT_ID", "CLIENT_SECRET_FILE", "DATABASE_URL_FILE"} {
		delete(door.env, "PAIRSYNC_"+name) // The door needs neither.
	}
	doorProcess := start(t, door.env, "serve", "--roles", "webhook")
	workerProcess := start(t, worker.env, "serve", "--roles", "workers")
	otherProcess := start(t, other.env, "serve", "--roles=workers,console")
	renewerProcess := start(t, renewer.env, "serve", "--roles", "renewer")
	for _, one := range []*site{door, worker, other, renewer} {
		one.ready(t)
	}
	meetings := s.meetings(t, 2)
	s.onlyItsTenant(t)

	// Each mailbox is subscribed at any moment, over several lives, with the same subscription.
	first := s.outlook.sim.Subscriptions()
	began := time.Now()
	within(t, "several lives to pass", func(context.Context) (bool, error) {
		if now := s.outlook.sim.Subscriptions(); len(now) != len(first) || now[0].ID != first[0].ID {
			t.Fatalf("a subscription lapsed: %d of %d are left", len(now), len(first))
		}
		return time.Since(began) > 3*life, nil
	})
	if n := renewer.metric(t.Context(), t, "subscription_renewals_total", `result="renewed"`); n < float64(2*len(first)) {
		t.Errorf("%v renewals over three lives of %d", n, len(first))
	}
	for _, m := range meetings {
		s.move(t, m)
	}
	s.agree(t, meetings)

	for i, m := range meetings {
		s.move(t, m)
		s.answer(t, m, s.outlook.sim.Tentative, "tentative")
		if i == 2 {
			workerProcess.kill(t)
		}
	}
	s.agree(t, meetings)
	for box, n := range s.outlook.sim.Counters().MostConcurrent {
		if n > 3 { // One each of the two workers and of the renewer.
			t.Errorf("%d calls at a time to the mailbox %s", n, box)
		}
	}
	for name, p := range map[string]*process{"webhook": doorProcess, "workers": otherProcess, "renewer": renewerProcess} {
		if status := p.ends(t, syscall.SIGTERM); status != 0 {
			t.Errorf("SIGTERM ended %s with status %d", name, status)
		}
		if !strings.Contains(p.output(), "level=INFO msg=serving") {
			t.Errorf("%s doesn't log as text: %s", name, p.output())
		}
	}
}

// onlyItsTenant uses a token that is limited to the second organisation.
func (s *site) onlyItsTenant(t *testing.T) {
	t.Helper()
	limited := newAPIClient(s.api.base, "herring")
	defer limited.close()
	if err := limited.do(t.Context(), http.MethodGet, "/tenants/"+organisations()[1].tenant, nil, nil); err != nil {
		t.Error(err)
	}
	if err := limited.do(t.Context(), http.MethodGet, "/tenants/"+organisations()[0].tenant, nil, nil); err == nil {
		t.Error("a limited token sees another organisation")
	}
	var feed struct{ Items []apiChange }
	if err := limited.do(t.Context(), http.MethodGet, "/changes", nil, &feed); err != nil {
		t.Error(err)
	}
	for _, change := range feed.Items {
		if change.Tenant != organisations()[1].tenant {
			t.Errorf("a limited token sees a change of %s", change.Tenant)
		}
	}
}

// TestThePublicURLMoves starts the service again at another address. What Graph has moves along.
func TestThePublicURLMoves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 1)
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
	s.webhook = freeAddr(t)
	s.env["PAIRSYNC_WEBHOOK_ADDR"], s.env["PAIRSYNC_PUBLIC_URL"] = s.webhook, "http://"+s.webhook
	start(t, s.env, "serve")
	s.ready(t)
	within(t, "all subscriptions to lead to the new address", func(context.Context) (bool, error) {
		subs := s.outlook.sim.Subscriptions()
		for _, sub := range subs {
			if !strings.HasPrefix(sub.NotificationURL, "http://"+s.webhook+"/") || !strings.HasPrefix(sub.LifecycleURL, "http://"+s.webhook+"/") {
				return false, nil
			}
		}
		return len(subs) == len(meetings), nil
	})
	for _, m := range meetings {
		s.move(t, m)
	}
	s.agree(t, meetings)
}
