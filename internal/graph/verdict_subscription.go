package graph

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// subscriptionVerdict reads what the subscription service says in words only. Graph's rule is never to read messages; here
// nothing else tells a handshake that failed from a bug of ours, or a ceiling from the mailbox's trouble.
func subscriptionVerdict(op operation, status int, env envelope) (verdict, bool) {
	message := env.message()
	lower := strings.ToLower(message)
	if d, ok := allowedLifetime(lower); ok {
		return verdict{kind: KindLifetime, reason: ReasonLifetimeTooLong, maxLifetime: d}, true
	}
	if handshakeFailed(lower) {
		return verdict{kind: KindHandshake, reason: ReasonHandshakeFailed}, true
	}
	if strings.Contains(lower, "already exists for the requested combination") {
		return verdict{kind: KindConflict, reason: ReasonExistsAlready}, true
	}
	if status == http.StatusForbidden && strings.Contains(lower, "limit") {
		return verdict{kind: KindQuota, reason: ReasonQuotaExceeded}, true
	}
	if strings.EqualFold(env.code(), "ErrorInvalidParameter") && (op == opCreateSubscription || op == opRenewSubscription) {
		// Reported for a renewal over the ceiling; it names no figure.
		return verdict{kind: KindLifetime, reason: ReasonLifetimeTooLong}, true
	}
	if inner, reason, ok := innerStatus(message); ok {
		return innerVerdict(inner, strings.ToLower(reason)), true
	}
	return verdict{}, false
}

// handshakeFailed knows the ways in which Graph says that our own webhook did not answer its validation request.
func handshakeFailed(lower string) bool {
	return strings.Contains(lower, "validation request") ||
		strings.Contains(lower, "notification endpoint must respond") ||
		strings.Contains(lower, "the underlying connection was closed")
}

// allowedLifetime finds N in "can only be N minutes in the future" and D in "is beyond allowed max 'D'", a .NET time span.
func allowedLifetime(lower string) (time.Duration, bool) {
	if _, rest, ok := strings.Cut(lower, "can only be "); ok {
		if number, _, ok := strings.Cut(rest, " minutes in the future"); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil && n > 0 && n < 1_000_000 {
				return time.Duration(n) * time.Minute, true
			}
		}
	}
	if _, rest, ok := strings.Cut(lower, "beyond allowed max '"); ok {
		if span, _, ok := strings.Cut(rest, "'"); ok {
			return timeSpan(span), true
		}
	}
	return 0, false
}

// timeSpan reads [d.]hh:mm:ss[.fffffff]; 0 when it is something else.
func timeSpan(s string) time.Duration {
	var days int
	clock := s
	if d, rest, ok := strings.Cut(s, "."); ok && strings.Contains(rest, ":") {
		n, err := strconv.Atoi(d)
		if err != nil {
			return 0
		}
		days, clock = n, rest
	}
	t, err := time.Parse("15:04:05", clock)
	if err != nil || days < 0 || days > 10_000 {
		return 0
	}
	sinceMidnight := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	return time.Duration(days)*24*time.Hour + sinceMidnight
}

// innerStatus takes apart "Operation: Create; Exception: [Status Code: Forbidden; Reason: Access denied]", in which the
// back end of the subscription service, here Outlook, gives its own answer. It counts for more than the outer status.
func innerStatus(message string) (code, reason string, ok bool) {
	_, rest, ok := strings.Cut(message, "[Status Code: ")
	if !ok {
		return "", "", false
	}
	code, rest, ok = strings.Cut(rest, "; Reason: ")
	if !ok {
		return "", "", false
	}
	return code, strings.TrimSuffix(strings.TrimSpace(rest), "]"), true
}

func innerVerdict(code, reason string) verdict {
	switch strings.ToLower(code) {
	case "forbidden":
		return verdict{kind: KindMailbox, reason: ReasonAccessDenied}
	case "notfound":
		if strings.Contains(reason, "rest api is not yet supported") {
			return verdict{kind: KindMailbox, reason: ReasonMailboxNotEnabled}
		}
		if strings.Contains(reason, "is invalid") {
			return verdict{kind: KindMailbox, reason: ReasonUserNotFound}
		}
		return verdict{kind: KindMailbox, reason: ReasonNoMailbox}
	case "unauthorized":
		// Not our token: the subscription service's own with Outlook. Seen as a fault of the whole service
		// (2023-12-14, "p#S256 doesn't match"), so no mailbox may be marked for it.
		return verdict{kind: KindUnavailable, reason: ReasonServerError}
	case "badrequest":
		return verdict{kind: KindInvalid, reason: ReasonInvalidRequest}
	case "conflict":
		return verdict{kind: KindConflict, reason: ReasonExistsAlready}
	case "toomanyrequests", "429":
		return verdict{kind: KindThrottled, reason: ReasonThrottled}
	case "serviceunavailable":
		if strings.Contains(reason, "backend 'unknown'") {
			return verdict{kind: KindUnavailable, reason: ReasonMailboxMoving}
		}
	}
	return verdict{kind: KindUnavailable, reason: ReasonServerError}
}
