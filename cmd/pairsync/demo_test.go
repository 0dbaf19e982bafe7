package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDemo plays the whole demo, ends it with Ctrl-C, and starts it again on the same data.
func TestDemo(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"PAIRSYNC_DATA_DIR":     dataDir(t),
		"PAIRSYNC_WEBHOOK_ADDR": freeAddr(t), "PAIRSYNC_CONSOLE_ADDR": freeAddr(t), "PAIRSYNC_OPS_ADDR": freeAddr(t),
	}
	p := start(t, env, "demo", "--pause", "50ms")
	p.says(t, "Your turn: open http://127.0.0.1:")
	// Who, from, to and the lag.
	for _, want := range []string{
		`· Contoso is connected: its admin opened the consent link and accepted`,
		`· Fabrikam is connected: its admin had consented already`,
		`· connection test of Contoso: 4 of 4 calendars can be used; notifications reach us\n`,
		`· free/busy offers \d+ slots in which Ada Lovelace and Grace Hopper can meet; the first one is `,
		`· the session ada-grace-1 is in Outlook, with the Teams link https://`,
		`booked +Contoso +Ada Lovelace and Grace Hopper: .+\[request`,
		`accepted +Contoso +Grace Hopper answered for .+: none → accepted +\[notification, lag \d+\.\d\d s\]`,
		`rescheduled Contoso +the platform moved the session of Ada Lovelace and Grace Hopper: .+ → .+\[request, lag -\]`,
		`· Outlook has it, and asks Grace Hopper for an answer again`,
		`rescheduled Contoso +Ada Lovelace moved the session of Ada Lovelace and Grace Hopper: .+ → .+\[notification, lag \d+\.\d\d s\]`,
		`rescheduled Contoso +Alan Turing moved the session of Alan Turing and Katherine Johnson: .+ → .+\[notification, lag`,
		`declined +Contoso +Katherine Johnson answered for .+: none → declined`,
		`tentative +Fabrikam +Donald Knuth answered for .+: none → tentative`,
		`proposed +Fabrikam +Donald Knuth proposed another time: .+ → .+`,
		`cancelled +Fabrikam +Barbara Liskov cancelled the session of Barbara Liskov and Edsger Dijkstra: .+ → off`,
		`cancelled +Contoso +the platform cancelled the session of Ada Lovelace and Grace Hopper: .+ → off`,
	} {
		pattern := regexp.MustCompile(want)
		within(t, want, p.matches(pattern))
	}
	first := readDemoState(t, env["PAIRSYNC_DATA_DIR"])
	another := start(t, map[string]string{"PAIRSYNC_DATA_DIR": env["PAIRSYNC_DATA_DIR"]}, "demo")
	<-another.done
	if another.err == nil || !strings.Contains(another.output(), "another pairsync is using") || strings.Contains(another.output(), "simulator\n") {
		t.Errorf("another demo on the same data said %q, %v", another.output(), another.err)
	}
	if status := p.ends(t, os.Interrupt); status != 0 {
		t.Errorf("Ctrl-C ended it with status %d", status)
	}
	leftovers(t, env["PAIRSYNC_DATA_DIR"])

	// Other ports, so that the subscriptions of before lead nowhere.
	env["PAIRSYNC_WEBHOOK_ADDR"] = freeAddr(t)
	p = start(t, env, "demo", "--pause", "50ms")
	p.says(t, "Your turn: open http://127.0.0.1:")
	within(t, "a change that came through the new door", p.matches(regexp.MustCompile(`rescheduled Contoso .+\[notification, lag`)))
	second := readDemoState(t, env["PAIRSYNC_DATA_DIR"])
	if second.Token != first.Token || second.WebhookURL == first.WebhookURL {
		t.Error("the second demo has another token, or still the first one's door")
	}
	// The cancelled sessions were booked anew, the others were found again, and so was the consent.
	if len(first.Sessions) != 4 || len(second.Sessions) != 6 || second.Sessions[4].ID != "ada-grace-2" || second.Sessions[5].ID != "barbara-edsger-2" {
		t.Errorf("the second demo has %d sessions after %d", len(second.Sessions), len(first.Sessions))
	}
	if n := strings.Count(p.output(), "  booked "); n != 2 {
		t.Errorf("the second demo booked %d sessions, want 2", n)
	}
	if !strings.Contains(p.output(), "· Contoso is connected: its admin had consented already") {
		t.Error("the second demo has forgotten the consent")
	}
	if status := p.ends(t, os.Interrupt); status != 0 {
		t.Errorf("Ctrl-C ended it with status %d", status)
	}
}

// TestAKilledDemoIsFoundAgain kills a demo while it books, and starts it again: everybody has their one meeting.
func TestAKilledDemoIsFoundAgain(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"PAIRSYNC_DATA_DIR":     dataDir(t),
		"PAIRSYNC_WEBHOOK_ADDR": freeAddr(t), "PAIRSYNC_CONSOLE_ADDR": freeAddr(t), "PAIRSYNC_OPS_ADDR": freeAddr(t),
	}
	for _, stage := range []string{"· free/busy offers", "· waiting until Outlook would tell"} {
		p := start(t, env, "demo", "--no-play")
		p.says(t, stage)
		p.kill(t)
	}
	p := start(t, env, "demo", "--no-play")
	p.says(t, "To let pairsync into Contoso yourself")
	state := readDemoState(t, env["PAIRSYNC_DATA_DIR"])
	for _, org := range organisations() {
		for _, who := range org.people {
			within(t, "one meeting of "+who.name, func(ctx context.Context) (bool, error) {
				_, body, err := ask(ctx, t, state.OutlookURL+"simulator/users/"+who.email+"/events")
				if err != nil {
					return false, err
				}
				var events []struct{ Cancelled, Deleted bool }
				if err := json.Unmarshal([]byte(body), &events); err != nil {
					return false, err
				}
				if len(events) != 1 || events[0].Cancelled || events[0].Deleted {
					return false, fmt.Errorf("the calendar has %s", body)
				}
				return true, nil
			})
		}
	}
	if status := p.ends(t, os.Interrupt); status != 0 {
		t.Errorf("Ctrl-C ended it with status %d", status)
	}
}

// readDemoState reads what scripts read, and makes sure that only its owner can.
func readDemoState(t *testing.T, dir string) demoState {
	t.Helper()
	path := filepath.Join(dir, "demo.json")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %s", path, info.Mode())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var state demoState
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	return state
}
