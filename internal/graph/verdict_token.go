package graph

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-json-experiment/json"
)

// tokenRefusal is Entra's error body. https://learn.microsoft.com/entra/identity-platform/reference-error-codes
type tokenRefusal struct {
	Error      string `json:"error"`
	ErrorCodes []int  `json:"error_codes"`
	SubError   string `json:"suberror"`
	TraceID    string `json:"trace_id"`
}

// classifyToken turns azidentity's failure into an *Error. It goes by the error field as Microsoft asks, and by AADSTS
// numbers only for the words that people read. ctx is the caller's: its own end is not Entra's fault.
func classifyToken(ctx context.Context, err error, now time.Time) *Error {
	e := &Error{Operation: string(opToken), Kind: KindUnavailable, Reason: ReasonNetwork}
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	switch {
	case ctx.Err() != nil:
		e.Reason, e.cause = endReason(ctx), ctx.Err()
		return e
	case !ok:
		// azidentity has nothing to ask with: the certificate or the federated token's file can't be read.
		e.Kind, e.Reason = KindTenant, ReasonCredentialUnreadable
		return e
	case failed.RawResponse == nil:
		return e
	}
	e.Status = failed.RawResponse.StatusCode
	e.RetryAfter = retryAfter(failed.RawResponse.Header.Get("Retry-After"), now)
	var body tokenRefusal
	raw, readErr := runtime.Payload(failed.RawResponse)
	if readErr != nil || json.Unmarshal(raw, &body, lenient()) != nil {
		body = tokenRefusal{}
	}
	e.Code = body.Error
	e.RequestID = printable(body.TraceID)
	e.Kind, e.Reason = tokenVerdict(e.Status, body)
	return e
}

func tokenVerdict(status int, body tokenRefusal) (Kind, string) {
	has := func(codes ...int) bool {
		return slices.ContainsFunc(body.ErrorCodes, func(c int) bool { return slices.Contains(codes, c) })
	}
	consent := has(65001, 65004, 90094, 90095) || strings.EqualFold(body.SubError, "consent_required")
	switch strings.ToLower(body.Error) {
	case "invalid_client":
		switch {
		case has(7000222):
			return KindTenant, ReasonSecretExpired
		case has(7000215):
			return KindTenant, ReasonSecretWrong
		case has(7000112):
			return KindTenant, ReasonAppDisabled
		}
		return KindTenant, ReasonCredentialRefused
	case "unauthorized_client", "access_denied":
		switch {
		case has(700016, 50194):
			return KindTenant, ReasonAppNotInTenant
		case has(7000112, 70001):
			return KindTenant, ReasonAppDisabled
		}
		return KindTenant, ReasonConsentMissing
	case "consent_required":
		return KindTenant, ReasonConsentMissing
	case "invalid_tenant":
		return KindTenant, ReasonTenantNotFound
	case "invalid_grant", "interaction_required", "login_required":
		if consent {
			return KindTenant, ReasonConsentMissing
		}
		return KindSignIn, ReasonSignInRequired
	case "temporarily_unavailable", "server_error", "service_unavailable":
		return KindUnavailable, ReasonServerError
	case "invalid_request", "invalid_resource", "invalid_scope", "unsupported_grant_type":
		if has(90002, 900021, 900023, 90072) {
			return KindTenant, ReasonTenantNotFound
		}
		if consent || has(500011, 650052, 650057) {
			return KindTenant, ReasonConsentMissing
		}
		return KindTenant, ReasonCredentialRefused
	}
	switch {
	case status == http.StatusTooManyRequests:
		return KindThrottled, ReasonThrottled
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout:
		return KindUnavailable, ReasonServerError
	}
	return KindUnavailable, ReasonUnreadableAnswer
}

// endReason tells a deadline from somebody's change of mind.
func endReason(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ReasonTimeout
	}
	return ReasonCancelled
}
