package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/embedded"
	"pairsync/internal/queue"
)

// TestDeadLetters lists two dead letters, replays one, discards the other.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	server, err := embedded.StartNATS(t.Context(), embedded.NATSConfig{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	nc, err := queue.Connect(t.Context(), queue.ConnConfig{InProcess: server.InProcess()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	broker, err := queue.Open(t.Context(), nc, queue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	const origin = "pairsync.notifications.tenant.mailbox"
	for _, event := range []string{"first", "second"} {
		m := nats.NewMsg("pairsync.deadletters.notifications")
		m.Data = []byte(`{"event":"` + event + `"}`)
		m.Header["Pairsync-Reason"] = []string{"unreadable"}
		m.Header["Pairsync-Error"] = []string{"reading the " + event + " event: it makes no sense"}
		m.Header["Pairsync-Attempts"] = []string{"5"}
		m.Header["Pairsync-Origin"] = []string{queue.StreamNotifications}
		m.Header["Pairsync-Origin-Subject"] = []string{origin}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) string {
		t.Helper()
		p := start(t, map[string]string{"PAIRSYNC_NATS_URL": server.URL()}, append([]string{"deadletters"}, args...)...)
		<-p.done
		if p.err != nil {
			t.Fatalf("%v: %v\n%s", args, p.err, p.output())
		}
		return p.output()
	}

	lines := strings.Split(command("list"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "NUMBER") || !strings.HasPrefix(lines[1], "1 ") ||
		!strings.Contains(lines[2], "unreadable") || !strings.Contains(lines[2], "reading the second event: it makes no sense") {
		t.Errorf("the list is\n%s", strings.Join(lines, "\n"))
	}
	var asked deadLetterJSON
	if err := json.Unmarshal([]byte(strings.Split(command("list", "--json"), "\n")[0]), &asked); err != nil {
		t.Fatal(err)
	}
	if asked.Number != 1 || asked.Attempts != 5 || asked.Subject != origin || asked.Data != `{"event":"first"}` {
		t.Errorf("as JSON: %+v", asked)
	}
	if out := command("replay", "1"); out != "replayed 1" {
		t.Errorf("replay said %q", out)
	}
	stream, err := js.Stream(t.Context(), queue.StreamNotifications)
	if err != nil {
		t.Fatal(err)
	}
	again, err := stream.GetLastMsgForSubject(t.Context(), origin)
	if err != nil || string(again.Data) != `{"event":"first"}` {
		t.Errorf("the replayed message is %v, %v", again, err)
	}
	if out := command("discard", "--all"); out != "discarded 1 dead letters" {
		t.Errorf("discard said %q", out)
	}
	if n, err := broker.DeadLetterCount(t.Context()); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
	if out := command("list"); out != "there are no dead letters" {
		t.Errorf("the empty list is %q", out)
	}
}
