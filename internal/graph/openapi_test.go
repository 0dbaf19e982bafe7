package graph

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Every request that is ever sent must be one that Microsoft's own description of Graph knows.
func TestRequestsConformToMicrosoftsDescription(t *testing.T) {
	t.Parallel()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(filepath.Join(sharedDir(t), "graph-openapi-cut.yaml"))
	if err != nil {
		t.Skipf("Microsoft's description is not at hand: %v", err)
	}
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/$batch"):
			batching(t, func(q batchedRequest) batchedAnswer { return found(idOf(q)) })(w, r)
		case strings.Contains(r.URL.Path, "/subscriptions"):
			answer(http.StatusOK, `{"id":"1","expirationDateTime":"2026-11-28T09:00:00Z"}`)(w, r)
		case strings.HasSuffix(r.URL.Path, "/events"), strings.HasSuffix(r.URL.Path, "/instances"):
			answer(http.StatusOK, `{"value":[{"id":"1"}]}`)(w, r)
		default:
			answer(http.StatusOK, `{"id":"1"}`)(w, r)
		}
	})
	callEverything(t, s.client(t))

	doc.Servers = openapi3.Servers{{URL: s.server.URL + "/v1.0"}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	operations := map[string]bool{}
	for _, call := range s.seen() {
		u, err := url.Parse(s.server.URL + call.Path + "?" + call.RawQuery)
		if err != nil {
			t.Fatal(err)
		}
		req := (&http.Request{
			Method: call.Method, URL: u, Host: u.Host, Header: call.Header, Body: http.NoBody,
		}).WithContext(t.Context())
		if call.Body != "" {
			req.Body = readCloser(call.Body)
		}
		route, params, err := router.FindRoute(req)
		if err != nil {
			t.Errorf("%s %s: %v", call.Method, call.Path, err)
			continue
		}
		operations[route.Operation.OperationID] = true
		err = openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
			Request: req, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		})
		if err != nil {
			t.Errorf("%s %s: %v", call.Method, call.Path, err)
		}
	}
	if len(operations) != 10 {
		t.Errorf("%d operations were seen: %v", len(operations), operations)
	}
}

func callEverything(t *testing.T, c *Client) {
	t.Helper()
	ctx, mb := t.Context(), Mailbox{Tenant: tenantA, User: mailboxA}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	_, err := c.Event(ctx, mb, "AAMk-_=")
	check(err)
	for _, r := range c.Events(ctx, tenantA, []EventRef{{mb, "1"}, {mb, "2"}}) {
		check(r.Err)
	}
	_, err = c.EventByICalUID(ctx, mb, "uid")
	check(err)
	_, err = c.Instances(ctx, mb, "M", time.Now(), time.Now().Add(time.Hour))
	check(err)
	_, err = c.User(ctx, tenantA, "ada@contoso.example")
	check(err)
	_, err = c.CreateSubscription(ctx, tenantA, SubscriptionRequest{
		MailboxID: mailboxA, NotificationURL: "https://x.example/n", LifecycleURL: "https://x.example/l", ClientState: "cs",
		ExpiresAt: time.Now().Add(time.Hour),
	})
	check(err)
	_, err = c.RenewSubscription(ctx, tenantA, "1", time.Now().Add(time.Hour))
	check(err)
	check(c.Reauthorize(ctx, tenantA, "1"))
	check(c.DeleteSubscription(ctx, tenantA, "1"))
	_, err = c.Subscriptions(ctx, tenantA)
	// The stand-in answers the list with one subscription, which is a list of none.
	check(err)
}
