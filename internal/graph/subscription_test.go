package graph

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCreateSubscription(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusCreated, string(fixture(t, "subscription-created-201__api-subscription-post-subscriptions.json"))))
	expiry := time.Date(2026, 11, 28, 10, 0, 0, 999, time.FixedZone("", 3600))
	got, err := s.client(t).CreateSubscription(t.Context(), tenantA, SubscriptionRequest{
		MailboxID: mailboxA, NotificationURL: "https://pairsync.example/graph/notifications",
		LifecycleURL: "https://pairsync.example/graph/lifecycle", ClientState: "cs", ExpiresAt: expiry,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Subscription{
		ID: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07", Resource: "me/mailFolders('Inbox')/messages", ClientState: "secretClientValue",
		NotificationURL: "https://webhook.azurewebsites.net/api/send/myNotifyClient",
		ExpiresAt:       time.Date(2016, 11, 20, 18, 23, 45, 935691300, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	call := s.seen()[0]
	var body map[string]any
	if err := json.Unmarshal([]byte(call.Body), &body); err != nil {
		t.Fatalf("%q: %v", call.Body, err)
	}
	for name, want := range map[string]string{
		"changeType": "created,updated,deleted", "resource": "users/" + mailboxA + "/events", "clientState": "cs",
		"notificationUrl":          "https://pairsync.example/graph/notifications",
		"lifecycleNotificationUrl": "https://pairsync.example/graph/lifecycle",
		// UTC with a Z: the form with an offset has been refused as if the property were missing.
		"expirationDateTime": "2026-11-28T09:00:00Z",
	} {
		if body[name] != want {
			t.Errorf("%s is %v, want %s", name, body[name], want)
		}
	}
	if call.Method != http.MethodPost || call.Path != "/v1.0/subscriptions" || call.Header.Get("Prefer") != prefer {
		t.Errorf("%s %s with %v", call.Method, call.Path, call.Header)
	}
	if call.Header.Get("Content-Encoding") != "" || call.ContentLength != int64(len(call.Body)) || call.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d bytes of %s in %s", call.ContentLength, call.Header.Get("Content-Type"), call.Header.Get("Content-Encoding"))
	}
}

func TestRenewReauthorizeDelete(t *testing.T) {
	t.Parallel()
	renewed := string(fixture(t, "subscription-renewed-200__api-subscription-update.json"))
	gone := `{"error":{"code":"ResourceNotFound","message":"The object was not found."}}`
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "PATCH /v1.0/subscriptions/here":
			answer(http.StatusOK, renewed)(w, r)
		case "POST /v1.0/subscriptions/here/reauthorize":
			answer(http.StatusNoContent, "")(w, r)
		case "DELETE /v1.0/subscriptions/here":
			w.WriteHeader(http.StatusNoContent)
		default:
			answer(http.StatusNotFound, gone)(w, r)
		}
	})
	c := s.client(t)
	got, err := c.RenewSubscription(t.Context(), tenantA, "here", time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC))
	if err != nil || got.ExpiresAt.Year() != 2016 || s.seen()[0].Body != `{"expirationDateTime":"2026-11-28T09:00:00Z"}` {
		t.Errorf("%+v, %v after %s", got, err, s.seen()[0].Body)
	}
	if err := c.Reauthorize(t.Context(), tenantA, "here"); err != nil {
		t.Error(err)
	}
	if err := c.DeleteSubscription(t.Context(), tenantA, "here"); err != nil {
		t.Error(err)
	}
	if _, err := c.RenewSubscription(t.Context(), tenantA, "gone", time.Now()); KindOf(err) != KindNotFound {
		t.Errorf("renewed a lost one: %v", err)
	}
	if err := c.Reauthorize(t.Context(), tenantA, "gone"); KindOf(err) != KindNotFound {
		t.Errorf("reauthorized a lost one: %v", err)
	}
	if err := c.DeleteSubscription(t.Context(), tenantA, "gone"); err != nil {
		t.Errorf("a lost one can't be deleted: %v", err)
	}
}

func TestSubscriptionsFollowsPages(t *testing.T) {
	t.Parallel()
	first := string(fixture(t, "errors/subscription-list-events-app-only__microsoft-graph-docs-6709.json"))
	second := fixture(t, "subscription-list__api-subscription-list.json")
	var s *standIn
	s = newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			answer(http.StatusOK, string(second))(w, r)
			return
		}
		var page map[string]any
		if err := json.Unmarshal([]byte(first), &page); err != nil {
			t.Error(err)
		}
		page["@odata.nextLink"] = s.server.URL + "/v1.0/subscriptions?$skiptoken=a%2Bb"
		writeJSON(w, page)
	})
	got, err := s.client(t).Subscriptions(t.Context(), tenantA)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d, %v", len(got), err)
	}
	if got[0].Resource != "users/b22c0bf6-a6fd-4033-b8d9-0369dacffb1f/events" || got[0].ClientState != "" || got[0].ExpiresAt.IsZero() {
		t.Errorf("%+v", got[0])
	}
	if q := s.seen()[1].RawQuery; q != "$skiptoken=a%2Bb" {
		t.Errorf("the link was altered to %s", q)
	}
}

func TestUnusableSubscriptions(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `{"id":"1"}`, `{"id":"1","expirationDateTime":"soon"}`, `{"expirationDateTime":"2026-11-28T09:00:00Z"}`, `[`} {
		c := newStandIn(t, answer(http.StatusCreated, body)).client(t)
		if _, err := c.CreateSubscription(t.Context(), tenantA, SubscriptionRequest{}); KindOf(err) != KindInvalid {
			t.Errorf("%q: %v", body, err)
		}
	}
	c := newStandIn(t, answer(http.StatusOK, `{"value":[{"resource":"x"}]}`)).client(t)
	if _, err := c.Subscriptions(t.Context(), tenantA); KindOf(err) != KindInvalid {
		t.Errorf("got %v", err)
	}
}

// The tenant's subscriptions were throttled: its mailboxes are not.
func TestThrottledSubscriptionsLeaveMailboxesAlone(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.0/subscriptions" {
			answer(http.StatusTooManyRequests, ``, "Retry-After", "60")(w, r)
			return
		}
		answer(http.StatusOK, plainEvent)(w, r)
	})
	c := s.client(t)
	for range 2 {
		if _, err := c.Subscriptions(t.Context(), tenantA); KindOf(err) != KindThrottled {
			t.Fatal(err)
		}
	}
	if _, err := c.Event(t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}, "1"); err != nil {
		t.Error(err)
	}
	if len(s.seen()) != 2 {
		t.Errorf("%d calls", len(s.seen()))
	}
}
