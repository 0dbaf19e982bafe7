package callback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reason is a word that says why a receiver did not take a message. It is fit for a label and for a status shown to people.
type Reason string

// The reasons.
const (
	// ReasonBadURL: the URL can't be a receiver's.
	ReasonBadURL Reason = "bad_url"
	// ReasonUnsigned: there is no secret, or it can't be used.
	ReasonUnsigned Reason = "no_secret"
	// ReasonAddressRefused: the receiver is not on the public internet.
	ReasonAddressRefused Reason = "address_refused"
	// ReasonNameUnknown: the receiver's name can't be resolved.
	ReasonNameUnknown Reason = "name_unknown"
	// ReasonTLS: the receiver's certificate or its TLS is not accepted.
	ReasonTLS Reason = "tls"
	// ReasonNetwork: no connection, or it broke.
	ReasonNetwork Reason = "network"
	// ReasonTimeout: no answer in time.
	ReasonTimeout Reason = "timeout"
	// ReasonRedirected: the receiver answered 3xx.
	ReasonRedirected Reason = "redirected"
	// ReasonGone: the receiver answered 410, and wants no more.
	ReasonGone Reason = "gone"
	// ReasonThrottled: the receiver answered 429.
	ReasonThrottled Reason = "throttled"
	// ReasonRejected: the receiver answered 4xx.
	ReasonRejected Reason = "rejected"
	// ReasonServerError: the receiver answered 5xx, or something that is no status.
	ReasonServerError Reason = "server_error"
)

// Reasons lists every Reason.
func Reasons() []Reason {
	return []Reason{
		ReasonBadURL, ReasonUnsigned, ReasonAddressRefused, ReasonNameUnknown, ReasonTLS, ReasonNetwork, ReasonTimeout,
		ReasonRedirected, ReasonGone, ReasonThrottled, ReasonRejected, ReasonServerError,
	}
}

// Error is a message that was not taken. Its text holds no URL and no address.
type Error struct {
	Reason Reason
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// RetryAfter is how long the receiver asks us to wait; 0 when it doesn't.
	RetryAfter time.Duration

	cause error
}

// Error names the reason, and the status if there was one.
func (e *Error) Error() string {
	text := "the receiver did not take the message: " + string(e.Reason)
	if e.Status != 0 {
		text += ", status " + strconv.Itoa(e.Status)
	}
	return text
}

// Unwrap gives what failed below.
func (e *Error) Unwrap() error { return e.cause }

// unanswered says what an error of net/http means.
func unanswered(err error) *Error {
	e := &Error{Reason: ReasonNetwork, cause: err}
	_, name := errors.AsType[*net.DNSError](err)
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknownAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, ErrAddressRefused):
		e.Reason = ReasonAddressRefused
	case isNet && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e.Reason = ReasonTimeout
	case name:
		e.Reason = ReasonNameUnknown
	case badCertificate, unknownAuthority, alert, noTLS, errors.Is(err, http.ErrSchemeMismatch):
		e.Reason = ReasonTLS
	}
	return e
}

// answered says what a status means; nil for 2xx.
func answered(answer *http.Response, now time.Time) error {
	e := &Error{Status: answer.StatusCode, RetryAfter: retryAfter(answer.Header.Get("Retry-After"), now)}
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		e.Reason = ReasonRedirected
	case code == http.StatusGone:
		e.Reason = ReasonGone
	case code == http.StatusTooManyRequests:
		e.Reason = ReasonThrottled
	case code >= 400 && code < 500:
		e.Reason = ReasonRejected
	default:
		e.Reason = ReasonServerError
	}
	return e
}

// retryAfter reads the header: seconds, or a date. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
