package graph

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestWait bounds what a Retry-After can ask of us: a longer one is an error of somebody's clock.
const longestWait = 24 * time.Hour

// classify turns an answer that is no success into an *Error. It is the only place that decides what a refusal means.
// Graph's envelope is error{code, message, innerError{...}} with spellings that vary, see
// https://learn.microsoft.com/graph/errors.
func classify(op operation, status int, header http.Header, body []byte, now time.Time) *Error {
	env, parsed := parseEnvelope(body)
	e := &Error{
		Status:     status,
		Code:       env.code(),
		RequestID:  env.requestID(),
		RetryAfter: retryAfter(header.Get("Retry-After"), now),
		Operation:  string(op),
	}
	if e.RequestID == "" {
		e.RequestID = header.Get("request-id")
	}
	v := verdictOf(op, status, env, parsed)
	if op == opBatch && v.kind == KindNotFound {
		// That the batch is not found says nothing of the events in it.
		v = verdict{kind: KindUnavailable, reason: ReasonUnreadableAnswer}
	}
	e.Kind, e.Reason, e.MaxLifetime = v.kind, v.reason, v.maxLifetime
	if v.reason == ReasonBookedAlready {
		e.existing = text(env.Error.Existing)
	}
	return e
}

// verdict is what an answer means.
type verdict struct {
	kind        Kind
	reason      string
	maxLifetime time.Duration
}

func verdictOf(op operation, status int, env envelope, parsed bool) verdict {
	if op.aboutSubscriptions() {
		if v, ok := subscriptionVerdict(op, status, env); ok {
			return v
		}
	}
	for _, code := range env.codesInsideOut() {
		if v, ok := codeVerdict(op, code); ok {
			return v
		}
	}
	return statusVerdict(op, status, env, parsed)
}

// codeVerdict knows the codes that mean the same whatever the status. Casing varies between Graph's back ends.
func codeVerdict(op operation, code string) (verdict, bool) {
	switch strings.ToLower(code) {
	case "erroritemnotfound", "itemnotfound":
		return verdict{kind: KindNotFound, reason: ReasonNotFound}, true
	case "mailboxnotenabledforrestapi":
		return verdict{kind: KindMailbox, reason: ReasonMailboxNotEnabled}, true
	case "mailboxnotsupportedforrestapi":
		return verdict{kind: KindMailbox, reason: ReasonMailboxNotSupported}, true
	case "errorinvaliduser", "request_resourcenotfound", "errornonexistentmailbox":
		return verdict{kind: KindMailbox, reason: ReasonUserNotFound}, true
	case "resourcenotfound":
		// For a user it means "no mailbox could be discovered"; for a subscription, that it is gone.
		if op.namesSubscription() {
			return verdict{kind: KindNotFound, reason: ReasonNotFound}, true
		}
		return verdict{kind: KindMailbox, reason: ReasonNoMailbox}, true
	case "erroraccessdenied":
		return verdict{kind: KindMailbox, reason: ReasonAccessDenied}, true
	case "authorization_requestdenied":
		return verdict{kind: KindMailbox, reason: ReasonPermissionMissing}, true
	case "toomanyrequests", "applicationthrottled", "activitylimitreached", "errorserverbusy":
		return verdict{kind: KindThrottled, reason: ReasonThrottled}, true
	case "errorquotaexceeded", "quotalimitreached":
		return verdict{kind: KindQuota, reason: ReasonQuotaExceeded}, true
	case "syncstatenotfound", "resyncrequired", "errorinvalidsyncstatedata":
		return verdict{kind: KindGone, reason: ReasonSyncStateLost}, true
	case "errormailboxmoveinprogress", "errormailboxstoreunavailable", "mailboxstoreunavailable":
		return verdict{kind: KindUnavailable, reason: ReasonMailboxMoving}, true
	case "errorduplicatetransactionid":
		return verdict{kind: KindConflict, reason: ReasonBookedAlready}, true
	case "errorirresolvableconflict":
		return verdict{kind: KindPrecondition, reason: ReasonChangedMeanwhile}, true
	}
	return verdict{}, false
}

// statusVerdict decides by the HTTP status alone, when no code was known.
func statusVerdict(op operation, status int, env envelope, parsed bool) verdict {
	switch status {
	case http.StatusUnauthorized:
		return verdict{kind: KindMailbox, reason: ReasonTokenRejected}
	case http.StatusForbidden:
		return verdict{kind: KindMailbox, reason: ReasonAccessDenied}
	case http.StatusNotFound:
		if op.namesSubscription() && parsed {
			return verdict{kind: KindNotFound, reason: ReasonNotFound}
		}
		if strings.EqualFold(env.code(), "notfound") {
			return verdict{kind: KindNotFound, reason: ReasonNotFound}
		}
		// A 404 that doesn't say that the thing is missing is no word of Outlook's: a gateway's page, a wrong service
		// root. Taking it for "gone" would cancel meetings.
		return verdict{kind: KindUnavailable, reason: ReasonUnreadableAnswer}
	case http.StatusConflict:
		return verdict{kind: KindConflict, reason: ReasonExistsAlready}
	case http.StatusGone:
		return verdict{kind: KindGone, reason: ReasonSyncStateLost}
	case http.StatusPreconditionFailed:
		return verdict{kind: KindPrecondition, reason: ReasonChangedMeanwhile}
	case http.StatusTooManyRequests:
		return verdict{kind: KindThrottled, reason: ReasonThrottled}
	case http.StatusRequestTimeout:
		return verdict{kind: KindUnavailable, reason: ReasonTimeout}
	case http.StatusLocked, http.StatusFailedDependency:
		return verdict{kind: KindUnavailable, reason: ReasonServerError}
	case http.StatusInsufficientStorage:
		return verdict{kind: KindQuota, reason: ReasonQuotaExceeded}
	}
	if status >= http.StatusInternalServerError {
		return verdict{kind: KindUnavailable, reason: ReasonServerError}
	}
	if strings.EqualFold(env.code(), "extensionError") {
		// The back end of a subscription failed without saying how.
		return verdict{kind: KindUnavailable, reason: ReasonServerError}
	}
	return verdict{kind: KindInvalid, reason: ReasonInvalidRequest}
}

// retryAfter reads both forms of the header: seconds, which Graph sends with a fraction, and an HTTP date. 0 means absent
// or unreadable. https://learn.microsoft.com/graph/throttling
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || seconds <= 0 {
			return 0
		}
		if seconds > longestWait.Seconds() {
			return longestWait
		}
		return time.Duration(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestWait)
}
