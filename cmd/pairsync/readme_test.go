package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheReadmesWalk runs the walk that the README shows, just as it stands there, against a demo.
func TestTheReadmesWalk(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the walk takes %s: %v", tool, err)
		}
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	walk := regexp.MustCompile("(?s)\n```bash\n(.*?)\n```\n").FindSubmatch(readme)
	if walk == nil {
		t.Fatal("the README has no block of bash")
	}
	env := map[string]string{
		"PAIRSYNC_DATA_DIR":     dataDir(t),
		"PAIRSYNC_WEBHOOK_ADDR": freeAddr(t), "PAIRSYNC_CONSOLE_ADDR": freeAddr(t), "PAIRSYNC_OPS_ADDR": freeAddr(t),
	}
	p := start(t, env, "demo", "--no-play")
	p.says(t, "To let pairsync into Contoso yourself")
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", string(walk[1]))
	cmd.Env = append(os.Environ(), "D="+filepath.Join(env["PAIRSYNC_DATA_DIR"], "demo.json"), "no_proxy=127.0.0.1")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the walk ends with %v after\n%s", err, said)
	}
	rest := string(said)
	for _, want := range []string{
		"Northwind is connected", `"accessible":2,"inaccessible":0`, "https://teams.microsoft.com/",
		`"kind":"booked","source":"platform"`, `"kind":"rsvp_changed","source":"outlook"`, `"kind":"rescheduled","source":"platform"`,
		`"kind":"rescheduled","source":"outlook"`, `"kind":"cancelled","source":"platform"`,
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the walk doesn't show %s in its turn:\n%s", want, said)
		}
		rest = after
	}
	if status := p.ends(t, os.Interrupt); status != 0 {
		t.Errorf("Ctrl-C ended it with status %d", status)
	}
}
