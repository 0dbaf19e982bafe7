package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestWhatIsLinked says which software must not come into a package, not even through another one. The linter sees direct
// imports only.
func TestWhatIsLinked(t *testing.T) {
	t.Parallel()
	const (
		graphSDK   = "github.com/microsoftgraph/"
		azidentity = "github.com/Azure/"
		natsServer = "github.com/nats-io/nats-server/"
		testbed    = "pairsync/internal/testbed"
	)
	for _, tt := range []struct {
		pkg    string
		banned []string
		why    string
	}{
		{"pairsync/webhook", []string{graphSDK, azidentity, natsServer, "pairsync/internal/graph"}, "the door knows neither Graph nor the broker's insides"},
		{"pairsync/console", []string{natsServer, "pairsync/internal/queue"}, "what a request needs of the workers is written to the database"},
		{"pairsync/model", []string{graphSDK, azidentity, "github.com/nats-io/", "github.com/prometheus/", "pairsync/internal/graph"}, "the model is the floor"},
		{"pairsync/ops", []string{graphSDK, azidentity, "github.com/nats-io/", "github.com/jackc/", "pairsync/model"}, "what operators see knows no room"},
		{"pairsync/workers", []string{natsServer}, "the broker is a client's matter"},
		{"pairsync/subscriptions", []string{"github.com/nats-io/"}, "the renewer needs no broker"},
		{"pairsync/internal/queue", []string{graphSDK, azidentity, natsServer}, "a client of the broker, not a broker"},
		{"pairsync/internal/graph", []string{"github.com/jackc/", "github.com/nats-io/", "pairsync/model"}, "the client of Graph stands alone"},
		{"pairsync/internal/simulator", []string{graphSDK, azidentity, "pairsync/internal/graph", "pairsync/model"}, "a simulator that shares the client's structs shares its mistakes"},
		{"pairsync/cmd/pairsync", []string{testbed, "github.com/Shopify/toxiproxy", "github.com/getkin/", "go.uber.org/goleak", "pgregory.net/rapid"}, "test software in users' binaries"},
	} {
		t.Run(tt.pkg, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", tt.pkg).Output()
			if err != nil {
				t.Fatal(err)
			}
			for dep := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
				for _, banned := range tt.banned {
					if dep == banned || strings.HasSuffix(banned, "/") && strings.HasPrefix(dep, banned) || strings.HasPrefix(dep, banned+"/") {
						t.Errorf("%s links %s: %s", tt.pkg, dep, tt.why)
					}
				}
			}
		})
	}
}
