package simulator

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSecondStartFindsEverything(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "deep", "state.json")
	d := newDoor(t)
	first, err := New(Config{StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := first.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	o := startHTTP(t, first)
	if _, err := o.AddTenant(Tenant{ID: contoso, Name: "Contoso"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace", "Alan"} {
		o.person(t, name)
	}
	o.token = o.login(t)
	sub := o.subscribe(t, d, email("Ada"), immutable())
	pair, series, gone := o.pair(t), o.series(t), o.pair(t)
	for _, err := range []error{
		o.Accept(email("Grace"), pair.ID), o.Cancel(series.Instances[1].ID), o.Cancel(gone.ID),
		o.Move(series.Instances[2].ID, series.Instances[2].OriginalStart.Add(time.Hour), series.Instances[2].OriginalStart.Add(2*time.Hour)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := o.everything(t)
	cancel()
	wg.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file %v, %v", info, err)
	}

	again, err := New(Config{StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	o2 := startOffice(t, again)
	if diff := cmp.Diff(before, o2.everything(t)); diff != "" {
		t.Errorf("after the second start (-before +after):\n%s", diff)
	}
	// The old token, the old subscription and the old ids are good.
	o2.token = o.token
	o2.graph(t, 200, http.MethodGet, "/users/"+pair.Mailbox+"/events/"+pair.ID, nil)
	o2.graph(t, 200, http.MethodGet, "/users/"+pair.Mailbox+"/events/"+pair.DefaultID, nil)
	o2.graph(t, 404, http.MethodGet, "/users/"+pair.Mailbox+"/events/"+gone.ID, nil)
	o2.graph(t, 200, http.MethodGet, "/subscriptions/"+text(t, sub, "id"), nil)
	o2.settle(t)
	n := len(d.all())
	if err := o2.Decline(email("Grace"), pair.ID); err != nil {
		t.Fatal(err)
	}
	o2.settle(t)
	if len(d.all()) <= n {
		t.Error("a change after the second start was not told")
	}
	if err := o2.Restore(email("Ada"), gone.ID); err != nil {
		t.Error(err)
	}
	if v, err := o2.CopyOf(email("Grace"), series.Instances[3].ID); err != nil || v.Kind != kindOccurrence {
		t.Errorf("Grace's instance %+v, %v", v, err)
	}
}

func startHTTP(t *testing.T, s *Simulator) *office {
	t.Helper()
	o := &office{Simulator: s, client: &http.Client{Transport: conforming{t, &http.Transport{}}}}
	srv := newServer(t, s)
	o.url = srv
	t.Cleanup(o.client.CloseIdleConnections)
	return o
}

// everything is what people see in all mailboxes.
func (o *office) everything(t *testing.T) map[string][]View {
	t.Helper()
	all := map[string][]View{}
	for _, name := range []string{"Ada", "Grace", "Alan"} {
		views, err := o.Calendar(email(name), monday().AddDate(-1, 0, 0), monday().AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = views
	}
	return all
}

func TestStateIsWrittenSoonAfterAChange(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	o := newOffice(t, Config{StateFile: file})
	b := o.pair(t)
	deadline := time.Now().Add(10 * time.Second)
	for {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), b.ID) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the change did not reach the file:", err)
		}
		if err := wait(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnreadableState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"garbage": "{", "newer": `{"version":2}`, "no key": `{"version":1}`,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{StateFile: file}); err == nil {
			t.Errorf("%s was taken for a state", name)
		}
	}
}

func TestRunEndsWhenNothingCanBeSaved(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	s, err := New(Config{StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	// A folder in the file's place can't be replaced by a file.
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddTenant(Tenant{ID: contoso}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Run(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("Run: %v, %v", err, ctx.Err())
	}
}
