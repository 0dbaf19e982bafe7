package webhook

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/testbed"
	"pairsync/model"
)

func TestMain(m *testing.M) { testbed.Main(m) }

const (
	testTenant       = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	testMailbox      = "622eaaff-0683-4862-9de4-f2ec83c2bd98"
	testSubscription = "76619225-ff6b-4489-96ca-4ef547e78b22"
	testEvent        = "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AqRlo3rKKCU-Vk4Ie1aNOUwAAGDSV1wAA"
)

func testStates(tb testing.TB) *model.ClientStates {
	tb.Helper()
	c, err := model.NewClientStates([][]byte{bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func signed(tb testing.TB, c *model.ClientStates) string {
	tb.Helper()
	s, err := c.Sign(testTenant, testMailbox)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// newTestHandler makes a door that proves with testStates and publishes to p.
func newTestHandler(tb testing.TB, cfg Config, p Publisher) (*Handler, *prometheus.Registry) {
	tb.Helper()
	reg := prometheus.NewRegistry()
	h, err := New(cfg, Deps{Publisher: p, ClientStates: testStates(tb), Log: slog.New(slog.DiscardHandler), Registerer: reg})
	if err != nil {
		tb.Fatal(err)
	}
	return h, reg
}

// change is a change notification as Graph sends it; etag "" leaves the etag out.
func change(clientState, event, etag string) string {
	tag := ""
	if etag != "" {
		tag = fmt.Sprintf(`"@odata.etag":"W/\"%s\"",`, etag)
	}
	return fmt.Sprintf(`{"subscriptionId":%q,"subscriptionExpirationDateTime":"2026-12-01T11:00:00.0000000Z",`+
		`"changeType":"updated","resource":"Users/%s/Events/%s","resourceData":{"@odata.type":"#Microsoft.Graph.Event",`+
		`"@odata.id":"Users/%s/Events/%s",%s"id":%q},"clientState":%q,"tenantId":%q}`,
		testSubscription, testMailbox, event, testMailbox, event, tag, event, clientState, testTenant)
}

func lifecycle(clientState, event string) string {
	return fmt.Sprintf(`{"lifecycleEvent":%q,"subscriptionId":%q,"subscriptionExpirationDateTime":"2026-12-01T00:52:45.9696658+00:00",`+
		`"clientState":%q,"tenantId":%q}`, event, testSubscription, clientState, testTenant)
}

func collection(items ...string) string { return `{"value":[` + strings.Join(items, ",") + `]}` }

// fixtures are the published payloads that stand beside the repository on the machines that have them.
func fixtures(tb testing.TB, pattern string) map[string][]byte {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Skip("no go.mod above the test")
		}
		dir = parent
	}
	names, err := filepath.Glob(filepath.Join(dir, "..", "shared", "fixtures", pattern))
	if err != nil {
		tb.Fatal(err)
	}
	if len(names) == 0 {
		tb.Skip("the published payloads are not on this machine")
	}
	files := make(map[string][]byte, len(names))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		files[filepath.Base(name)] = data
	}
	return files
}
