package graph

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// published are the error bodies that people published, with the status they came with. Those that were cut out of their
// braces are completed by mend.
func published() []struct {
	file   string
	op     operation
	status int
	kind   Kind
	reason string
	maxLif time.Duration
} {
	type row = struct {
		file   string
		op     operation
		status int
		kind   Kind
		reason string
		maxLif time.Duration
	}
	return []row{
		{"errors/400-ExtensionError-expiry-over-10070__public-code-string-search.json", opCreateSubscription, 400, KindLifetime, ReasonLifetimeTooLong, 10070 * time.Minute},
		{"errors/400-InvalidRequest-validation-timed-out__nodejs-webhooks-sample-350.json", opRenewSubscription, 400, KindHandshake, ReasonHandshakeFailed, 0},
		{"errors/401-ExtensionError-update-p-S256__msgraph-sdk-java-1711.json", opRenewSubscription, 401, KindUnavailable, ReasonServerError, 0},
		{"errors/404-ErrorInvalidUser__microsoft-graph-docs-4097.json", opEvent, 404, KindMailbox, ReasonUserNotFound, 0},
		{"errors/404-ErrorItemNotFound-no-innererror__microsoft-MHA-77.json", opEvent, 404, KindNotFound, ReasonNotFound, 0},
		{"errors/404-MailboxNotEnabledForRESTAPI__microsoft-graph-docs-contrib-6519.raw.txt", opEvent, 404, KindMailbox, ReasonMailboxNotEnabled, 0},
		{"errors/404-ResourceNotFound__msgraph-sdk-java-260.json", opEvent, 404, KindMailbox, ReasonNoMailbox, 0},
		{"errors/404-ResourceNotFound__msgraph-sdk-java-260.json", opRenewSubscription, 404, KindNotFound, ReasonNotFound, 0},
		{"errors/410-SyncStateNotFound__microsoft-graph-docs-2877.json", opInstances, 410, KindGone, ReasonSyncStateLost, 0},
		{"errors/429-ApplicationThrottled-MailboxConcurrency__calcom-cal.diy-343.json", opEvent, 429, KindThrottled, ReasonThrottled, 0},
		{"errors/503-ExtensionError-update-empty-reason__msft-qa-12790072.json", opRenewSubscription, 503, KindUnavailable, ReasonServerError, 0},
		{"errors/ExtensionError-create-backend-unknown__msft-qa-417261.raw.txt", opCreateSubscription, 503, KindUnavailable, ReasonMailboxMoving, 0},
		{"errors/ExtensionError-create-forbidden__onedrive-api-docs-1398.json", opCreateSubscription, 403, KindMailbox, ReasonAccessDenied, 0},
		{"errors/ExtensionError-create-forbidden__onedrive-api-docs-1398.json", opCreateSubscription, 400, KindMailbox, ReasonAccessDenied, 0},
		{"errors/ExtensionError-create-quarantined__microsoft-graph-devx-api-126.json", opCreateSubscription, 400, KindUnavailable, ReasonServerError, 0},
		{"errors/ExtensionError-create-rest-not-supported-mailbox__microsoft-graph-docs-6869.raw.txt", opCreateSubscription, 400, KindMailbox, ReasonMailboxNotEnabled, 0},
		{"errors/ExtensionError-expiry-too-long__microsoft-graph-docs-2988.raw.txt", opRenewSubscription, 400, KindLifetime, ReasonLifetimeTooLong, 4230 * time.Minute},
		{"errors/ExtensionError-rich-select-body-not-supported__microsoft-graph-docs-17004.json", opCreateSubscription, 400, KindInvalid, ReasonInvalidRequest, 0},
		{"errors/get-subscription-ExtensionError-storage__graph-explorer-v4-3554.json", opListSubscriptions, 400, KindUnavailable, ReasonServerError, 0},
		{"error-403-erroraccessdenied-policy__concepts-auth-limit-mailbox-access.json", opEvent, 403, KindMailbox, ReasonAccessDenied, 0},
		{"error-429-toomanyrequests__concepts-throttling.json", opEvent, 429, KindThrottled, ReasonThrottled, 0},
		{"error-envelope-invalidrange__concepts-errors.json", opEvent, 400, KindInvalid, ReasonInvalidRequest, 0},
	}
}

// notErrors are the published bodies in the folder of errors that are answers of another sort.
func notErrors() []string {
	return []string{
		"notif-legacy-SubscriptionRemoved-capitalised__graph-blog-subscription-lifetime-changes.raw.txt",
		"subscription-list-events-app-only__microsoft-graph-docs-6709.json",
	}
}

// mend completes a body that was published without its outer, or last, braces.
func mend(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if !bytes.HasPrefix(body, []byte("{")) {
		body = append([]byte("{"), body...)
	}
	for missing := bytes.Count(body, []byte("{")) - bytes.Count(body, []byte("}")); missing > 0; missing-- {
		body = append(body, '}')
	}
	return body
}

func TestPublishedErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range published() {
		t.Run(string(tc.op)+"/"+tc.file, func(t *testing.T) {
			t.Parallel()
			body := fixture(t, tc.file)
			got := classify(tc.op, tc.status, http.Header{"Retry-After": {"2.128"}}, mend(body), time.Now())
			if got.Kind != tc.kind || got.Reason != tc.reason || got.MaxLifetime != tc.maxLif {
				t.Errorf("got %s/%s/%s, want %s/%s/%s", got.Kind, got.Reason, got.MaxLifetime, tc.kind, tc.reason, tc.maxLif)
			}
			if bytes.Contains(body, []byte("request-id")) == (got.RequestID == "") {
				t.Errorf("request-id %q", got.RequestID)
			}
			if got.Code == "" || got.Status != tc.status || got.RetryAfter != 2128*time.Millisecond {
				t.Errorf("code %q, status %d, wait %s", got.Code, got.Status, got.RetryAfter)
			}
			if strings.HasSuffix(tc.file, ".raw.txt") {
				// As it was published it is no JSON: then the status alone decides, and nothing is taken for missing.
				raw := classify(tc.op, tc.status, http.Header{}, body, time.Now())
				if raw.Code != "" || raw.Kind == KindNotFound || raw.Kind == "" {
					t.Errorf("unreadable body: %+v", raw)
				}
			}
		})
	}
}

func TestEveryPublishedErrorHasItsRow(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(sharedDir(t), "fixtures", "errors", "*"))
	if err != nil || len(files) == 0 {
		t.Skip("published payloads are not at hand")
	}
	for _, file := range files {
		name := filepath.Base(file)
		known := slices.ContainsFunc(published(), func(r struct {
			file   string
			op     operation
			status int
			kind   Kind
			reason string
			maxLif time.Duration
		},
		) bool {
			return r.file == "errors/"+name
		})
		if known || slices.Contains(notErrors(), name) {
			continue
		}
		t.Errorf("%s has no row", name)
	}
	for _, name := range notErrors() {
		body, err := os.ReadFile(filepath.Join(sharedDir(t), "fixtures", "errors", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, parsed := parseEnvelope(body); parsed {
			t.Errorf("%s was taken for an error", name)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		op     operation
		status int
		body   string
		kind   Kind
		reason string
	}{
		{"a code in other case", opEvent, 404, `{"error":{"code":"ERRORITEMNOTFOUND"}}`, KindNotFound, ReasonNotFound},
		{"an inner code says more", opEvent, 400, `{"error":{"code":"BadRequest","innererror":{"code":"x","innerError":{"code":"mailboxNotSupportedForRESTAPI"}}}}`, KindMailbox, ReasonMailboxNotSupported},
		{"an empty code", opEvent, 403, `{"error":{"code":"","message":"no"}}`, KindMailbox, ReasonAccessDenied},
		{"a code that is a number", opEvent, 500, `{"error":{"code":17}}`, KindUnavailable, ReasonServerError},
		{"throttled under another status", opEvent, 503, `{"error":{"code":"ApplicationThrottled"}}`, KindThrottled, ReasonThrottled},
		{"a gateway's page is not Outlook's word", opEvent, 404, `<html>404 not found</html>`, KindUnavailable, ReasonUnreadableAnswer},
		{"an unknown code is not a missing event", opEvent, 404, `{"error":{"code":"UnknownError"}}`, KindUnavailable, ReasonUnreadableAnswer},
		{"a batch that is not found says nothing of its items", opBatch, 404, `{"error":{"code":"NotFound"}}`, KindUnavailable, ReasonUnreadableAnswer},
		{"an array", opEvent, 404, `[]`, KindUnavailable, ReasonUnreadableAnswer},
		{"error is a string", opEvent, 400, `{"error":"invalid"}`, KindInvalid, ReasonInvalidRequest},
		{"nothing at all", opEvent, 502, ``, KindUnavailable, ReasonServerError},
		{"bandwidth", opEvent, 509, ``, KindUnavailable, ReasonServerError},
		{"redirected", opEvent, 302, ``, KindInvalid, ReasonInvalidRequest},
		{"etag", opEvent, 412, `{"error":{"code":"ErrorIrresolvableConflict"}}`, KindPrecondition, ReasonChangedMeanwhile},
		{"mailbox full", opEvent, 507, `{"error":{"code":"ErrorQuotaExceeded"}}`, KindQuota, ReasonQuotaExceeded},
		{"failed dependency", opBatchItem, 424, ``, KindUnavailable, ReasonServerError},
		{"token", opEvent, 401, `{"error":{"code":"InvalidAuthenticationToken"}}`, KindMailbox, ReasonTokenRejected},
		{"subscription gone without a code", opRenewSubscription, 404, `{"error":{"code":""}}`, KindNotFound, ReasonNotFound},
		{"no subscription to a page of HTML", opRenewSubscription, 404, `<html>`, KindUnavailable, ReasonUnreadableAnswer},
		{"a subscription's mailbox is on premises", opRenewSubscription, 404, `{"error":{"code":"MailboxNotEnabledForRESTAPI"}}`, KindMailbox, ReasonMailboxNotEnabled},
		{"handshake refused", opCreateSubscription, 400, `{"error":{"code":"InvalidRequest","message":"Subscription validation request failed. HTTP status code is 'Forbidden'. Notification endpoint must respond with 200 OK to validation request."}}`, KindHandshake, ReasonHandshakeFailed},
		{"handshake cut off", opCreateSubscription, 400, `{"error":{"code":"InvalidRequest","message":"The underlying connection was closed: x"}}`, KindHandshake, ReasonHandshakeFailed},
		{"same words about an event mean nothing", opEvent, 400, `{"error":{"code":"InvalidRequest","message":"validation request"}}`, KindInvalid, ReasonInvalidRequest},
		{"duplicate", opCreateSubscription, 409, `{"error":{"code":"InvalidRequest","message":"Subscription Id <1> already exists for the requested combination"}}`, KindConflict, ReasonExistsAlready},
		{"duplicate without words", opCreateSubscription, 409, ``, KindConflict, ReasonExistsAlready},
		{"too many subscriptions", opCreateSubscription, 403, `{"error":{"code":"Forbidden","message":"The limit of 1000 was reached"}}`, KindQuota, ReasonQuotaExceeded},
		{"over the ceiling, wordless", opRenewSubscription, 400, `{"error":{"code":"ErrorInvalidParameter"}}`, KindLifetime, ReasonLifetimeTooLong},
		{"a figure that isn't one", opCreateSubscription, 400, `{"error":{"code":"ExtensionError","message":"Subscription expiration can only be many minutes in the future."}}`, KindUnavailable, ReasonServerError},
		{"our own mistake", opCreateSubscription, 400, `{"error":{"code":"InvalidRequest","message":"'ChangeType' is a required property"}}`, KindInvalid, ReasonInvalidRequest},
		{"inner conflict", opCreateSubscription, 400, `{"error":{"code":"ExtensionError","message":"Operation: Create; Exception: [Status Code: Conflict; Reason: x]"}}`, KindConflict, ReasonExistsAlready},
		{"inner throttling", opCreateSubscription, 400, `{"error":{"code":"extensionError","message":"Operation: Create; Exception: [Status Code: TooManyRequests; Reason: x]"}}`, KindThrottled, ReasonThrottled},
		{"inner user not found", opCreateSubscription, 404, `{"error":{"code":"extensionError","message":"Operation: Create; Exception: [Status Code: NotFound; Reason: The requested user 'x' is invalid.]"}}`, KindMailbox, ReasonUserNotFound},
		{"mailbox on the move", opEvent, 503, `{"error":{"code":"MailboxStoreUnavailable"}}`, KindUnavailable, ReasonMailboxMoving},
		{"inner not found", opCreateSubscription, 404, `{"error":{"code":"extensionError","message":"Operation: Create; Exception: [Status Code: NotFound; Reason: x]"}}`, KindMailbox, ReasonNoMailbox},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := classify(tc.op, tc.status, http.Header{}, []byte(tc.body), time.Now())
			if got.Kind != tc.kind || got.Reason != tc.reason {
				t.Errorf("got %s/%s, want %s/%s", got.Kind, got.Reason, tc.kind, tc.reason)
			}
		})
	}
}

func TestAllowedLifetime(t *testing.T) {
	t.Parallel()
	cases := map[string]time.Duration{
		"Subscription expiration can only be 10070 minutes in the future.":                         10070 * time.Minute,
		"Expiration time 'x' ('y' from now) is beyond allowed max '3.00:00:00'.":                   72 * time.Hour,
		"… is beyond allowed max '00:30:15.5'.":                                                    30*time.Minute + 15*time.Second,
		"… is beyond allowed max 'soon'.":                                                          0,
		"Subscription expiration can only be -5 minutes in the future.":                            -1,
		"Subscription expiration can only be 99999999999999999999999 minutes in the future.":       -1,
		"Subscription expiration can only be 10070 hours in the future, and minutes in the future": -1,
	}
	for message, want := range cases {
		got, ok := allowedLifetime(strings.ToLower(message))
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %s, %t", message, got, ok)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cases := map[string]time.Duration{
		"":                              0,
		"10":                            10 * time.Second,
		" 2.128 ":                       2128 * time.Millisecond,
		"0":                             0,
		"-3":                            0,
		"NaN":                           0,
		"Inf":                           longestWait,
		"1e300":                         longestWait,
		"soon":                          0,
		"Sat, 21 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Sat, 21 Nov 2026 11:00:00 GMT": 0,
		"Sat, 21 Nov 2099 11:00:00 GMT": longestWait,
	}
	for value, want := range cases {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// Nothing that Graph says, and nothing of ours but ids that are meant for support, may reach a log through an error.
func TestErrorSaysNothingOfPeople(t *testing.T) {
	t.Parallel()
	body := `{"error":{"code":"ErrorInvalidUser","message":"The requested user 'ada@contoso.example' is invalid.","innerError":{"requestId":"r-1\nforged"}}}`
	err := classify(opUser, 404, http.Header{}, []byte(body), time.Now())
	if got, want := err.Error(), "graph get_user: mailbox (user_not_found), status 404, request-id r-1forged"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
