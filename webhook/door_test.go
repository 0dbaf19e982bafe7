package webhook

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"pairsync/internal/queue"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// door is the whole door on a real JetStream, reached over HTTP.
type door struct {
	url    string
	reg    *prometheus.Registry
	state  string
	stream jetstream.Stream
}

func newDoor(t *testing.T, nc *nats.Conn, edit func(*jetstream.StreamConfig)) *door {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := jetstream.StreamConfig{
		Name: queue.StreamNotifications, Subjects: []string{"pairsync.notifications.>"}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, AllowAtomicPublish: true, Duplicates: 2 * time.Minute,
	}
	if edit != nil {
		edit(&cfg)
	}
	stream, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := queue.NewPublisher(nc, js, queue.PublisherConfig{})
	testbed.Run(t, "publisher", p.Run)
	h, reg := newTestHandler(t, Config{}, p)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer("", h, slog.New(slog.DiscardHandler))
	server.Start()
	t.Cleanup(server.Close)
	return &door{url: server.URL, reg: reg, state: signed(t, testStates(t)), stream: stream}
}

func (d *door) post(t *testing.T, body string) (code int, took time.Duration) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+NotificationsPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", graphJSON)
	began := time.Now()
	transport := http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode, time.Since(began)
}

func (d *door) stored(t *testing.T) uint64 {
	t.Helper()
	info, err := d.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

func (d *door) results(t *testing.T) map[string]float64 {
	t.Helper()
	got := counts(t, d.reg, "pairsync_notifications_total", "result")
	for r, n := range got {
		if n == 0 {
			delete(got, r)
		}
	}
	return got
}

func TestDoorStoresWhatIsOurs(t *testing.T) {
	t.Parallel()
	d := newDoor(t, testbed.NATS(t), nil)
	body := collection(change(d.state, "Ev-1", "k1"), change("forged", "Ev-2", "k2"), lifecycle(d.state, "missed"))
	if code, _ := d.post(t, body); code != http.StatusAccepted {
		t.Fatalf("%d", code)
	}
	if n := d.stored(t); n != 2 {
		t.Fatalf("%d stored", n)
	}
	msg, err := d.stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var hint model.Hint
	if err := json.Unmarshal(msg.Data, &hint); err != nil {
		t.Fatal(err)
	}
	hint.ReceivedAt = time.Time{}
	want := model.Hint{
		Tenant: testTenant, Mailbox: testMailbox, SubscriptionID: testSubscription,
		ChangeType: model.ChangeUpdated, EventID: "Ev-1", ChangeKey: "k1",
	}
	if diff := cmp.Diff(want, hint); diff != "" {
		t.Error(diff)
	}
	if want := "pairsync.notifications." + testTenant + "." + testMailbox; msg.Subject != want {
		t.Errorf("subject %q, want %q", msg.Subject, want)
	}

	// Graph sends it again: the event's item is known, the lifecycle item has nothing to be known by.
	if code, _ := d.post(t, body); code != http.StatusAccepted {
		t.Fatalf("%d", code)
	}
	if n := d.stored(t); n != 3 {
		t.Errorf("%d stored after the repetition", n)
	}
	if diff := cmp.Diff(map[string]float64{"accepted": 3, "duplicate": 1, "bad_client_state": 2}, d.results(t)); diff != "" {
		t.Error(diff)
	}
}

func TestDoorAnswers503WhileTheStreamIsFull(t *testing.T) {
	t.Parallel()
	d := newDoor(t, testbed.NATS(t), func(c *jetstream.StreamConfig) { c.MaxMsgs = 2 })
	if code, _ := d.post(t, collection(change(d.state, "Ev-1", "1"), change(d.state, "Ev-2", "2"))); code != http.StatusAccepted {
		t.Fatalf("%d", code)
	}
	if code, took := d.post(t, collection(change(d.state, "Ev-3", "3"))); code != http.StatusServiceUnavailable || took > 2*time.Second {
		t.Errorf("%d after %v", code, took)
	}
	if err := d.stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, _ := d.post(t, collection(change(d.state, "Ev-3", "3"))); code != http.StatusAccepted {
		t.Errorf("%d once there is room", code)
	}
	if diff := cmp.Diff(map[string]float64{"accepted": 3, "unavailable": 1}, d.results(t)); diff != "" {
		t.Error(diff)
	}
}

func TestDoorComesBackWithNATS(t *testing.T) {
	t.Parallel()
	server := testbed.NATSServer(t)
	d := newDoor(t, server.Connect(), nil)
	if code, _ := d.post(t, collection(change(d.state, "Ev-0", "0"))); code != http.StatusAccepted {
		t.Fatalf("%d", code)
	}
	server.Stop()
	for i := range 5 {
		code, took := d.post(t, collection(change(d.state, fmt.Sprint("Ev-", i), "x")))
		if code != http.StatusServiceUnavailable || took > 2*time.Second {
			t.Errorf("without NATS: %d after %v", code, took)
		}
	}
	server.Start()
	testbed.Eventually(t, "the door to be open again", func(context.Context) bool {
		code, _ := d.post(t, collection(change(d.state, "Ev-9", "9")))
		return code == http.StatusAccepted
	})
	if got := d.results(t); got["accepted"]+got["duplicate"] != 2 || got["unavailable"] < 5 {
		t.Errorf("results %v", got)
	}
}

func TestDoorTakesManyAtOnce(t *testing.T) {
	t.Parallel()
	d := newDoor(t, testbed.NATS(t), nil)
	const posts, items = 40, 25
	var wrong atomic.Int64
	var all sync.WaitGroup
	for i := range posts {
		all.Go(func() {
			list := make([]string, items)
			for k := range list {
				list[k] = change(d.state, fmt.Sprintf("Ev-%d-%d", i, k), "k")
			}
			if code, _ := d.post(t, collection(list...)); code != http.StatusAccepted {
				wrong.Add(1)
			}
		})
	}
	all.Wait()
	if n := d.stored(t); n != posts*items || wrong.Load() > 0 {
		t.Errorf("%d of %d stored, %d posts not accepted", n, posts*items, wrong.Load())
	}
}

func TestServerCutsSlowClientsOff(t *testing.T) {
	t.Parallel()
	h, reg := newTestHandler(t, Config{}, &fakePublisher{})
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer("", h, slog.New(slog.DiscardHandler))
	// The times of the product are seconds; what is tested is that both ends of a request have one.
	if server.Config.ReadHeaderTimeout <= 0 || server.Config.ReadTimeout <= 0 || server.Config.WriteTimeout <= 0 ||
		server.Config.IdleTimeout <= 0 || server.Config.MaxHeaderBytes <= 0 {
		t.Fatal("a time-out is missing")
	}
	server.Config.ReadHeaderTimeout, server.Config.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	head := "POST /graph/notifications HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{
		"headers":  head,
		"body":     head + "Content-Length: 1000\r\n\r\n{\"value\":[",
		"chunks":   head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"no words": "",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusRequestTimeout {
				t.Errorf("%s: %d", name, answer.StatusCode)
			}
		}
		var timeout net.Error
		if _, err := io.Copy(io.Discard, conn); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection is still open", name)
		}
		_ = conn.Close()
	}
	if got := counts(t, reg, "pairsync_notifications_total", "result"); got["accepted"]+got["malformed"] > 0 {
		t.Errorf("results %v", got)
	}
}

// TestDoorMemoryIsFlat posts the worst that it takes, many at a time, and looks at what stays in memory meanwhile.
func TestDoorMemoryIsFlat(t *testing.T) {
	h, _ := newTestHandler(t, Config{}, &fakePublisher{})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	const size = 4<<20 - 100
	bodies := []string{
		`{"value":[` + strings.Repeat("0,", size/2) + `0]}`,
		`{"x":` + strings.Repeat("[", size),
		`{"value":[{"resourceData":` + strings.Repeat(`{"a":`, size/5),
		`{"x":"` + strings.Repeat("x", size) + `","value":[]}`,
		strings.Repeat("\x00", size+1000),
	}
	var peak, refused atomic.Uint64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+NotificationsPath, strings.NewReader(bodies[i%len(bodies)]))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", graphJSON)
			answer, err := server.Client().Do(r)
			if err != nil {
				return // the server closes the connection on a giant that goes on sending
			}
			_ = answer.Body.Close()
			if answer.StatusCode >= 400 {
				refused.Add(1)
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			for was := peak.Load(); now.HeapInuse > was && !peak.CompareAndSwap(was, now.HeapInuse); was = peak.Load() {
			}
		})
	}
	all.Wait()
	if refused.Load() == 0 {
		t.Error("nothing was refused")
	}
	// The bodies themselves are 20 MiB of this process.
	if mib := peak.Load() >> 20; mib > 128 {
		t.Errorf("%d MiB in use", mib)
	}
	if h.bodies.small.used.Load() != 0 || h.bodies.large.used.Load() != 0 {
		t.Error("bodies are still accounted for")
	}
}
