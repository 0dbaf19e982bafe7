package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a transport that hands each request to a function, so that a test can run on a clock of its own.
type wire func(r *http.Request) *http.Response

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	done := make(chan *http.Response, 1)
	go func() { done <- w(r) }() //nolint:bodyclose // The caller closes it.
	select {
	case resp := <-done:
		return resp, nil
	case <-r.Context().Done():
		<-done // The function sees the context too.
		return nil, r.Context().Err()
	}
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// bubble is a simulator on a clock of its own, with Ada's events subscribed.
type bubble struct {
	*Simulator

	sub   string
	began time.Time
	// stop ends Run and waits for it.
	stop func()
	// sent are the POSTs of notifications: when, after the first, and how many items.
	mu   sync.Mutex
	sent []post
}

type post struct {
	at    time.Duration
	items []map[string]any
	path  string
}

// newBubble subscribes Ada's events; reply is asked for the answer to each POST, the first being 0.
func newBubble(t *testing.T, cfg Config, lifetime time.Duration, reply func(n int, r *http.Request) *http.Response) *bubble {
	t.Helper()
	b := &bubble{}
	cfg.Transport = wire(func(r *http.Request) *http.Response {
		if token := r.URL.Query().Get("validationToken"); token != "" {
			return answer(http.StatusOK, token)
		}
		var in struct {
			Value []map[string]any `json:"value"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return answer(http.StatusBadRequest, err.Error())
		}
		b.mu.Lock()
		n := len(b.sent)
		b.sent = append(b.sent, post{time.Since(b.began), in.Value, r.URL.Path})
		b.mu.Unlock()
		return reply(n, r)
	})
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Simulator, b.began = s, time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	b.stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(b.stop)
	if _, err := s.AddTenant(Tenant{ID: contoso, Name: "Contoso"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace"} {
		if _, err := s.AddUser(User{Tenant: contoso, Name: name, Email: email(name)}); err != nil {
			t.Fatal(err)
		}
	}
	b.subscribe(t, lifetime)
	return b
}

func (b *bubble) subscribe(t *testing.T, lifetime time.Duration) {
	t.Helper()
	token, err := b.tokenAnswer(contoso, claims{AppID: appID, ObjectID: appID, Roles: App{}.permissions()})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"changeType": "created,updated,deleted", "notificationUrl": "http://door/n", "lifecycleNotificationUrl": "http://door/l",
		"resource": "/users/" + email("Ada") + "/events", "expirationDateTime": time.Now().Add(lifetime).UTC().Format(graphTime),
	})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1.0/subscriptions", bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+token["access_token"].(string))
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, req)
	if rec.Code != http.StatusCreated {
		t.Fatalf("subscribing: %d %s", rec.Code, rec.Body)
	}
	var sub struct{ ID string }
	if err := json.Unmarshal(rec.Body.Bytes(), &sub); err != nil {
		t.Fatal(err)
	}
	b.sub = sub.ID
}

func (b *bubble) posts() []post {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}

func (b *bubble) change(t *testing.T) {
	t.Helper()
	if _, err := b.AddPrivateEvent(email("Ada"), "x", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedNotificationsAreTriedAgainForFourHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Config{QuietExpiry: true}, 48*time.Hour, func(int, *http.Request) *http.Response { return answer(503, "") })
		b.change(t)
		<-time.After(10 * time.Hour)
		posts := b.posts()
		if len(posts) < 10 {
			t.Fatalf("%d tries", len(posts))
		}
		if last := posts[len(posts)-1].at; last < 4*time.Hour || last > 5*time.Hour {
			t.Errorf("the last try came after %s", last)
		}
		for i := 2; i < len(posts); i++ {
			before, pause := posts[i-1].at-posts[i-2].at, posts[i].at-posts[i-1].at
			if pause < before && pause < 30*time.Minute {
				t.Errorf("pause %d is %s after %s: it does not grow", i, pause, before)
			}
		}
		if c := b.Counters(); c.GaveUp != 1 || c.Pending != 0 || c.Delivered != 0 {
			t.Errorf("counters %+v", c)
		}
		if got := b.Deliveries(1)[0]; got.Fate != fateGaveUp || got.Attempts != len(posts) || got.Status != 503 {
			t.Errorf("delivery %+v after %d posts", got, len(posts))
		}
	})
}

func TestTimeScaleShortensTheRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Config{TimeScale: 3600, QuietExpiry: true}, time.Hour, func(int, *http.Request) *http.Response { return answer(500, "") })
		b.change(t)
		<-time.After(time.Minute)
		if posts := b.posts(); posts[len(posts)-1].at > 6*time.Second || b.Counters().GaveUp != 1 {
			t.Errorf("%d tries, the last after %s; counters %+v", len(posts), posts[len(posts)-1].at, b.Counters())
		}
	})
}

func TestAcknowledgementHasToComeInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// The first answer takes four seconds, which is too late; the second takes nine, which is in time for a repeat.
		b := newBubble(t, Config{QuietExpiry: true}, time.Hour, func(n int, r *http.Request) *http.Response {
			_ = wait(r.Context(), []time.Duration{4 * time.Second, 9 * time.Second}[n])
			return answer(202, "")
		})
		b.change(t)
		<-time.After(time.Minute)
		if c := b.Counters(); len(b.posts()) != 2 || c.Delivered != 1 || c.Retries != 1 {
			t.Errorf("%d posts, counters %+v", len(b.posts()), c)
		}
	})
}

func TestWhatWaitsForOneEndpointGoesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := newBubble(t, Config{EndpointConcurrency: 1, BatchItems: 8, QuietExpiry: true}, time.Hour, func(n int, _ *http.Request) *http.Response {
			if n == 0 {
				<-release
			}
			return answer(202, "")
		})
		b.change(t)
		synctest.Wait()
		for range 20 {
			b.change(t)
		}
		close(release)
		synctest.Wait()
		var sizes []int
		for _, p := range b.posts() {
			sizes = append(sizes, len(p.items))
		}
		if want := []int{1, 8, 8, 4}; !slices.Equal(sizes, want) {
			t.Errorf("items per POST %v, want %v", sizes, want)
		}
		if err := b.Settled(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestMisbehavingDelivery(t *testing.T) {
	t.Parallel()
	accept := func(int, *http.Request) *http.Response { return answer(202, "") }
	count := func(b *bubble) (n int) {
		for _, p := range b.posts() {
			n += len(p.items)
		}
		return n
	}
	t.Run("dropped", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t, Config{QuietExpiry: true, Behaviour: Behaviour{DropNotifications: 1}}, time.Hour, accept)
			b.change(t)
			synctest.Wait()
			if c := b.Counters(); count(b) != 0 || c.Dropped != 1 || c.Pending != 0 {
				t.Errorf("%d items, counters %+v", count(b), c)
			}
		})
	})
	t.Run("doubled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t, Config{QuietExpiry: true, Behaviour: Behaviour{Duplicates: 9}}, time.Hour, accept)
			b.change(t)
			synctest.Wait()
			if count(b) != 10 {
				t.Errorf("%d items, want 10", count(b))
			}
		})
	})
	t.Run("followed by updates", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t, Config{Seed: 7, QuietExpiry: true, Behaviour: Behaviour{ExtraUpdates: 3}}, time.Hour, accept)
			for range 20 {
				b.change(t)
			}
			synctest.Wait()
			if n := count(b); n <= 20 || n > 80 {
				t.Errorf("%d items for 20 changes", n)
			}
		})
	})
	t.Run("late and out of order", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t, Config{Seed: 7, QuietExpiry: true, BatchItems: 1, Behaviour: Behaviour{
				NotificationDelay: Duration{time.Minute}, NotificationJitter: Duration{time.Minute},
			}}, time.Hour, accept)
			for range 20 {
				b.change(t)
			}
			<-time.After(59 * time.Second)
			if count(b) != 0 {
				t.Fatalf("%d items came too early", count(b))
			}
			<-time.After(2 * time.Minute)
			var etags []string
			for _, p := range b.posts() {
				etags = append(etags, text(t, p.items[0], "resourceData", "@odata.etag"))
			}
			if len(etags) != 20 || slices.IsSorted(etags) {
				t.Errorf("%d items, in order: %v", len(etags), slices.IsSorted(etags))
			}
		})
	})
}

func TestEndpointsThatAnswerLateAreHeldBackAndThenDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(_ int, r *http.Request) *http.Response {
			_ = wait(r.Context(), time.Minute)
			return answer(202, "")
		}
		b := newBubble(t, Config{EndpointStates: true, QuietExpiry: true, BatchItems: 1}, 48*time.Hour, slow)
		for range fewest {
			b.change(t)
		}
		<-time.After(5 * time.Second)
		before := len(b.posts())
		b.change(t)
		<-time.After(time.Second)
		if d := b.Deliveries(1)[0]; d.Fate != fateWaiting || len(b.posts()) < before {
			t.Errorf("a new notification for a slow endpoint is %s", d.Fate)
		}
		<-time.After(2 * time.Minute) // Repeats fail for good now.
		b.change(t)
		if d := b.Deliveries(1)[0]; d.Fate != fateDropped {
			t.Errorf("a new notification for a dead endpoint is %s", d.Fate)
		}
	})
}

func TestLifeOfASubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Config{}, 8*time.Hour, func(int, *http.Request) *http.Response { return answer(202, "") })
		<-time.After(9 * time.Hour)
		var at []time.Duration
		for _, p := range b.posts() {
			if p.path != "/l" || p.items[0]["lifecycleEvent"] != lifecycleReauthorize {
				t.Errorf("unexpected POST %+v", p)
			}
			at = append(at, p.at.Round(time.Minute))
		}
		want := []time.Duration{6 * time.Hour, 7 * time.Hour, 7*time.Hour + 30*time.Minute, 7*time.Hour + 45*time.Minute}
		if !slices.Equal(at, want) {
			t.Errorf("warned at %v, want %v", at, want)
		}
		if subs := b.Subscriptions(); len(subs) != 0 {
			t.Errorf("still alive: %v", subs)
		}
		b.change(t)
		synctest.Wait()
		if n := b.Counters().Notifications; n != int64(len(want)) {
			t.Errorf("%d notifications, those of a dead subscription among them", n)
		}
	})
}

func TestLifecycleOnDemand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Config{QuietExpiry: true}, time.Hour, func(int, *http.Request) *http.Response { return answer(202, "") })
		for _, event := range []string{lifecycleMissed, lifecycleReauthorize, lifecycleRemoved} {
			if err := b.SendLifecycle(b.sub, event); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		var got []string
		for _, p := range b.posts() {
			got = append(got, text(t, p.items[0], "lifecycleEvent"))
		}
		if want := []string{lifecycleMissed, lifecycleReauthorize, lifecycleRemoved}; !slices.Equal(got, want) {
			t.Errorf("heard %v, want %v", got, want)
		}
		if len(b.Subscriptions()) != 0 {
			t.Error("subscriptionRemoved removed nothing")
		}
		if err := b.SendLifecycle(b.sub, lifecycleMissed); err == nil {
			t.Error("an event of a subscription that is gone was sent")
		}
	})
}

func TestEndOfRunKeepsWhatIsUndelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := t.TempDir() + "/state.json"
		hang := func(_ int, r *http.Request) *http.Response {
			<-r.Context().Done()
			return nil
		}
		first := newBubble(t, Config{StateFile: file, QuietExpiry: true}, time.Hour, hang)
		first.change(t)
		synctest.Wait()
		first.stop()
		var heard []byte
		s, err := New(Config{StateFile: file, QuietExpiry: true, Transport: wire(func(r *http.Request) *http.Response {
			heard, _ = io.ReadAll(r.Body)
			return answer(202, "")
		})})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if err := s.Settled(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !bytes.Contains(heard, []byte(first.sub)) {
			t.Errorf("after the restart came %s", heard)
		}
	})
}
