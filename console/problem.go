package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// problemKind is a word of the closed set of what can be wrong with a request. It ends the URN that is the problem
// document's type, https://www.rfc-editor.org/rfc/rfc9457.
type problemKind string

const (
	// kindMalformed is a request that can't be read: not JSON, a bad cursor or query parameter.
	kindMalformed problemKind = "malformed"
	// kindUnauthorized is a request without a known token.
	kindUnauthorized problemKind = "unauthorized"
	// kindNotFound is something that doesn't exist, or that the token may not see.
	kindNotFound problemKind = "not_found"
	// kindMethod is a method that the path doesn't take.
	kindMethod problemKind = "method_not_allowed"
	// kindConflict is a write that contradicts what is stored.
	kindConflict problemKind = "conflict"
	// kindTooLarge is a body above the limit.
	kindTooLarge problemKind = "too_large"
	// kindMediaType is a body that isn't sent as JSON.
	kindMediaType problemKind = "unsupported_media_type"
	// kindInvalid is well-formed JSON with a field that can't be accepted.
	kindInvalid problemKind = "invalid"
	// kindInternal is our own fault.
	kindInternal problemKind = "internal"
	// kindUnavailable is a fault that passes: the database is away, or too many streams are open.
	kindUnavailable problemKind = "unavailable"
)

// answer gives the kind's HTTP status and title.
func (k problemKind) answer() (status int, title string) {
	switch k {
	case kindMalformed:
		return http.StatusBadRequest, "The request can't be read"
	case kindUnauthorized:
		return http.StatusUnauthorized, "A known token is needed"
	case kindNotFound:
		return http.StatusNotFound, "Not found"
	case kindMethod:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case kindConflict:
		return http.StatusConflict, "The request contradicts what is stored"
	case kindTooLarge:
		return http.StatusRequestEntityTooLarge, "The body is too large"
	case kindMediaType:
		return http.StatusUnsupportedMediaType, "The body must be JSON"
	case kindInvalid:
		return http.StatusUnprocessableEntity, "A field can't be accepted"
	case kindUnavailable:
		return http.StatusServiceUnavailable, "Temporarily unavailable"
	case kindInternal:
	}
	return http.StatusInternalServerError, "Internal error"
}

// level is at which level a problem with a cause is logged: the caller's mistakes are nobody's business here.
func (k problemKind) level() slog.Level {
	if status, _ := k.answer(); status >= http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// problemError is a refusal as the caller gets to see it. Nothing private goes into it.
type problemError struct {
	kind   problemKind
	field  string
	detail string
	// cause is logged, never shown.
	cause error
}

func newProblem(kind problemKind, detail string) *problemError {
	return &problemError{kind: kind, detail: detail}
}

// invalid says what is wrong with a field of the body; format should also say how to mend it.
func invalid(field, format string, args ...any) *problemError {
	return &problemError{kind: kindInvalid, field: field, detail: field + " " + fmt.Sprintf(format, args...)}
}

// malformed says what is wrong with a query parameter or a header.
func malformed(field, format string, args ...any) *problemError {
	return &problemError{kind: kindMalformed, field: field, detail: field + " " + fmt.Sprintf(format, args...)}
}

func notFound(what, id string) *problemError {
	return newProblem(kindNotFound, fmt.Sprintf("there is no %s %q", what, id))
}

// Error implements error.
func (p *problemError) Error() string { return p.detail }

// Unwrap gives the private cause.
func (p *problemError) Unwrap() error { return p.cause }

// problemDocument is a problem as it is sent.
type problemDocument struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
	Field    string `json:"field,omitempty"`
}

// writeProblem answers with the problem. The request's own id makes the instance, so that a line of the log is found.
func writeProblem(w http.ResponseWriter, p *problemError) {
	status, title := p.kind.answer()
	doc := problemDocument{
		Type:   "urn:pairsync:problem:" + string(p.kind),
		Title:  title,
		Status: status,
		Detail: strings.ToValidUTF8(p.detail, "\uFFFD"),
		Field:  strings.ToValidUTF8(p.field, "\uFFFD"),
	}
	if id := w.Header().Get(headerRequestID); id != "" {
		doc.Instance = "urn:pairsync:request:" + id
	}
	if p.kind == kindUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="pairsync"`)
	}
	if p.kind == kindUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	body, err := json.Marshal(doc)
	if err != nil {
		// Only strings and a number are in it.
		body = []byte(`{"type":"about:blank","title":"Internal error","status":500,"detail":"internal error"}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// asProblem finds the refusal inside err, if it is one.
func asProblem(err error) (*problemError, bool) {
	return errors.AsType[*problemError](err)
}
