package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pairsync/internal/callback"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// platform is a receiver of callbacks that verifies every signature with the scheme's own library.
type platform struct {
	t      *testing.T
	server *httptest.Server

	mu sync.Mutex
	// secrets that verify; each of them has to.
	secrets []string
	// took are the ids of the changes that were taken, by session and in order.
	took  map[string][]string
	calls int
	under int
	most  int
	// status is what is answered; 0 means 204. It is asked with the change's id.
	status func(id string) int
	header http.Header
	// hold keeps every call waiting until it is closed.
	hold chan struct{}
}

// delivered is a callback's body.
type delivered struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		ID        string    `json:"id"`
		Tenant    string    `json:"tenant"`
		Session   string    `json:"session"`
		Kind      string    `json:"kind"`
		Cursor    string    `json:"cursor"`
		AppliedAt time.Time `json:"applied_at"`
	} `json:"data"`
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, took: make(map[string][]string)}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	p.calls++
	p.under++
	p.most = max(p.most, p.under)
	secrets, hold, status := slices.Clone(p.secrets), p.hold, p.status
	maps.Copy(w.Header(), p.header)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.under--
		p.mu.Unlock()
	}()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	for _, secret := range secrets {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			p.t.Error(err)
			return
		}
		if err := verifier.Verify(body, r.Header); err != nil {
			p.t.Errorf("a signature is wrong: %v", err)
		}
	}
	var got delivered
	if err := json.Unmarshal(body, &got); err != nil {
		p.t.Errorf("body %s: %v", body, err)
	}
	if got.Data.ID == "" || got.Data.ID != r.Header.Get("webhook-id") || got.Type != "pairsync.session."+got.Data.Kind ||
		!got.Timestamp.Equal(got.Data.AppliedAt) {
		p.t.Errorf("webhook-id %s, body %s", r.Header.Get("webhook-id"), body)
	}
	if status != nil {
		if code := status(got.Data.ID); code != 0 {
			w.WriteHeader(code)
			return
		}
	}
	p.mu.Lock()
	p.took[got.Data.Session] = append(p.took[got.Data.Session], got.Data.ID)
	p.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (p *platform) set(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

// of are the changes of a session that were taken.
func (p *platform) of(session string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.took[session])
}

func (p *platform) called() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// down answers every call with a status.
func down(status int) func(string) int { return func(string) int { return status } }

func emptied(t model.Tenant) bool {
	return t.Callback != nil && t.Callback.Queued == 0 && t.Callback.Status == model.CallbackOK
}

func paused(reason callback.Reason) func(model.Tenant) bool {
	return func(t model.Tenant) bool {
		return t.Callback != nil && t.Callback.Status == model.CallbackPaused && t.Callback.Reason == string(reason)
	}
}

// The receiver was down for an hour, two thousand times as fast: all of it arrives, each session's in order and once, and the
// owner could see why it did not.
func TestReceiverDownForAnHour(t *testing.T) {
	t.Parallel()
	const fast = 2000
	m, p := newManor(t), newPlatform(t)
	m.cfg.CallbackRetryMin, m.cfg.CallbackRetryMax = 5*time.Second/fast, 6*time.Hour/fast
	m.cfg.CallbackPauseTime, m.cfg.CallbackProbeMax = time.Minute/fast, 15*time.Minute/fast
	p.secrets = []string{m.tenant("t", p.server.URL)}
	p.status = down(http.StatusBadGateway)
	m.steward()
	m.steward()
	begun := time.Now()
	var sessions []string
	for i := range 60 {
		session := fmt.Sprintf("s-%d", i%7)
		if !slices.Contains(sessions, session) {
			sessions = append(sessions, session)
		}
		m.move("t", session)
	}
	m.until("t", "paused", paused(callback.ReasonServerError))
	testbed.Eventually(t, "the hour to be over", func(ctx context.Context) bool { return time.Since(begun) > time.Hour/fast })
	if n := p.called(); n > 400 {
		t.Errorf("a receiver that is down was called %d times in an hour", n)
	}
	p.set(func() { p.status = nil })
	m.until("t", "all is received", emptied)
	for _, session := range sessions {
		if got, want := p.of(session), m.ids(session); !slices.Equal(got, want) {
			t.Errorf("session %s: received %v, want %v", session, got, want)
		}
	}
	if got := m.metric("pairsync_callbacks_total", "result", "delivered"); got != 60 {
		t.Errorf("%v are counted as delivered", got)
	}
	if m.metric("pairsync_callbacks_total", "result", "retried") == 0 {
		t.Error("no retry is counted")
	}
}

func TestBothSecretsSignWhileTheyChange(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	older, newer := m.tenant("t", p.server.URL), newSecret()
	if err := m.store.RotateCallbackSecret(t.Context(), "t", m.seal(newer), time.Hour); err != nil {
		t.Fatal(err)
	}
	p.secrets = []string{older, newer}
	m.move("t", "s")
	m.steward()
	m.until("t", "all is received", emptied)
	last := newSecret()
	if err := m.store.RotateCallbackSecret(t.Context(), "t", m.seal(last), 0); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.secrets = []string{last} })
	m.move("t", "s")
	m.until("t", "all is received", emptied)
	if got, want := p.of("s"), m.ids("s"); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

// A receiver that answers nothing has a bounded number of calls, and another tenant's changes go on at once.
func TestASlowReceiverDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	m, slow, quick := newManor(t), newPlatform(t), newPlatform(t)
	slow.hold = make(chan struct{})
	slow.secrets = []string{m.tenant("slow", slow.server.URL)}
	quick.secrets = []string{m.tenant("quick", quick.server.URL)}
	for i := range 40 {
		m.move("slow", fmt.Sprintf("s-%d", i))
	}
	m.steward()
	testbed.Eventually(t, "the slow receiver to be busy", func(context.Context) bool { return slow.called() >= 5 })
	for i := range 20 {
		m.move("quick", fmt.Sprintf("s-%d", i))
	}
	m.until("quick", "all is received", emptied)
	slow.set(func() {
		if slow.most > 8 {
			t.Errorf("%d calls at once", slow.most)
		}
		close(slow.hold)
		slow.hold = nil
	})
	m.until("slow", "all is received", emptied)
}

// One change that the receiver never wants keeps its session waiting, no other one, and does not make the receiver ill.
func TestOneChangeThatIsNotWanted(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	p.secrets = []string{m.tenant("t", p.server.URL)}
	m.move("t", "bad")
	m.move("t", "bad")
	unwanted := m.ids("bad")[0]
	tries := 0
	p.status = func(id string) int {
		if id != unwanted {
			return 0
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		tries++
		return http.StatusUnprocessableEntity
	}
	m.steward()
	for i := range 30 {
		session := fmt.Sprintf("good-%d", i)
		m.move("t", session)
		testbed.Eventually(t, "a change of "+session, func(context.Context) bool { return len(p.of(session)) == 1 })
	}
	m.until("t", "two changes wait, and the receiver is well", func(t model.Tenant) bool {
		return t.Callback.Queued == 2 && t.Callback.Status == model.CallbackOK
	})
	if len(p.of("bad")) != 0 {
		t.Error("a later change overtook the one that is not wanted")
	}
	p.set(func() { p.status = nil })
	m.until("t", "all is received", emptied)
	if got, want := p.of("bad"), m.ids("bad"); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestAReceiverThatWantsNoMore(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	m.cfg.CallbackRetryMax = time.Hour
	secret := m.tenant("t", p.server.URL+"/old")
	p.secrets, p.status = []string{secret}, down(http.StatusGone)
	m.steward()
	m.move("t", "s")
	m.until("t", "paused", paused(callback.ReasonGone))
	m.move("t", "s")
	m.move("t", "other")
	if n := p.called(); n != 1 {
		t.Errorf("it was called %d times", n)
	}
	// Another URL is another receiver.
	p.set(func() { p.status = nil })
	m.putTenant("t", p.server.URL+"/new")
	m.until("t", "all is received", emptied)
	if got, want := p.of("s"), m.ids("s"); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	p.secrets = []string{m.tenant("t", p.server.URL)}
	p.status, p.header = down(http.StatusTooManyRequests), http.Header{"Retry-After": {"3600"}}
	m.steward()
	m.move("t", "s")
	testbed.Eventually(t, "a retry to be written", func(context.Context) bool {
		return m.metric("pairsync_callbacks_total", "result", "retried") == 1
	})
	due := time.Time{}
	testbed.Eventually(t, "the time of the next try", func(ctx context.Context) bool {
		at, some, err := m.store.NextCallbackDue(ctx)
		due = at
		return err == nil && some
	})
	if wait := time.Until(due); wait < 55*time.Minute {
		t.Errorf("tried again in %v", wait)
	}
}

// Whatever the URL says, nothing on this machine is called unless that is allowed, and the owner is told why.
func TestPrivateReceiversAreRefused(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	guarded, err := callback.New(callback.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guarded.Close)
	m.receivers = guarded
	m.tenant("plain", p.server.URL)
	m.tenant("named", "https://localhost:1/hooks")
	m.steward()
	m.move("plain", "s")
	m.move("named", "s")
	m.until("plain", "paused", paused(callback.ReasonBadURL))
	m.until("named", "paused", paused(callback.ReasonAddressRefused))
	if n := p.called(); n != 0 {
		t.Errorf("it was called %d times", n)
	}
}

func TestChangesAreGivenUpAtLast(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	m.cfg.CallbackAge = 300 * time.Millisecond
	m.tenant("t", p.server.URL)
	p.status = down(http.StatusInternalServerError)
	m.steward()
	m.move("t", "s")
	m.move("t", "other")
	m.until("t", "nothing waits any more", func(t model.Tenant) bool { return t.Callback.Queued == 0 })
	if got := m.metric("pairsync_callbacks_total", "result", "given_up"); got != 2 {
		t.Errorf("%v are counted as given up", got)
	}
	if len(m.ids("s")) != 1 {
		t.Error("it is not in the feed any more")
	}
}

// A process that ends while a receiver is being called leaves nothing behind but a lease.
func TestAStewardThatIsCutOff(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	m.cfg.Grace, m.cfg.CallbackLease = time.Millisecond, 200*time.Millisecond
	p.secrets = []string{m.tenant("t", p.server.URL)}
	p.hold = make(chan struct{})
	stop := m.steward()
	m.move("t", "s")
	testbed.Eventually(t, "a call", func(context.Context) bool { return p.called() == 1 })
	stop()
	p.set(func() { close(p.hold); p.hold = nil })
	m.steward()
	m.until("t", "all is received", emptied)
	if got := p.of("s"); len(slices.Compact(got)) != 1 {
		t.Errorf("received %v", got)
	}
}

// Without a secret nothing goes out, and when there is one it does.
func TestNoSecretYet(t *testing.T) {
	t.Parallel()
	m, p := newManor(t), newPlatform(t)
	m.tenant("t", "")
	m.putTenant("t", p.server.URL)
	m.steward()
	m.move("t", "s")
	testbed.Eventually(t, "a retry", func(context.Context) bool { return m.metric("pairsync_callbacks_total", "result", "retried") > 0 })
	secret := newSecret()
	p.set(func() { p.secrets = []string{secret} })
	if p.called() != 0 {
		t.Error("something went out without a signature")
	}
	if _, err := m.store.SetCallbackSecret(t.Context(), "t", m.seal(secret)); err != nil {
		t.Fatal(err)
	}
	m.until("t", "all is received", emptied)
}
