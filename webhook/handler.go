package webhook

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// maxToken is the most bytes of a validation token that are echoed.
const maxToken = 4 << 10

// Handler is the door. It is safe for concurrent use.
type Handler struct {
	cfg       Config
	publisher Publisher
	prover    Prover
	log       *slog.Logger
	tracer    trace.Tracer
	parsers   *parsers
	bodies    *bodies
	watch     *watch
	metrics   *metrics
	outage    outage
}

// ServeHTTP answers one request. Paths are compared as they are: a redirect to a cleaner one would tell a stranger what is here.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if extra, ok := h.cfg.Extra[r.URL.Path]; ok {
		extra.ServeHTTP(w, r)
		return
	}
	began := time.Now()
	code := h.serve(w, r, began)
	if o, ok := h.metrics.requests[code]; ok {
		o.Observe(time.Since(began).Seconds())
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, began time.Time) (code int) {
	if r.URL.Path != NotificationsPath && r.URL.Path != LifecyclePath {
		return answer(w, http.StatusNotFound)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return answer(w, http.StatusMethodNotAllowed)
	}
	if token, found, ok := validationToken(r.URL.RawQuery); found {
		return handshake(w, token, ok)
	}
	return h.deliver(w, r, began)
}

// answer writes a status and nothing else.
func answer(w http.ResponseWriter, code int) int {
	w.WriteHeader(code)
	return code
}

// handshake answers Graph's proof that the URL is ours: the token as it is, as plain text that no browser takes for a page.
func handshake(w http.ResponseWriter, token string, ok bool) int {
	if !ok || token == "" || len(token) > maxToken {
		return answer(w, http.StatusBadRequest)
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(token)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(token)) //nolint:gosec // Plain text that may not be sniffed; Graph wants it to the byte.
	return http.StatusOK
}

// validationToken looks for the token in a query, next to whatever parameters our own URL has. ok is false when it can't be
// decoded.
func validationToken(query string) (token string, found, ok bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(name, "validationToken") {
			continue
		}
		token, err := url.QueryUnescape(value)
		return token, true, err == nil
	}
	return "", false, true
}

// deliver takes a change notification collection in.
func (h *Handler) deliver(w http.ResponseWriter, r *http.Request, began time.Time) int {
	if !isJSON(r.Header.Get("Content-Type")) || !isPlain(r.Header.Get("Content-Encoding")) {
		return answer(w, http.StatusUnsupportedMediaType)
	}
	// A trace of our own: the caller may be anyone, and must not decide what is sampled. By hand, because otelhttp costs ten
	// times as much, which is a good part of what a POST costs at all.
	ctx, span := h.tracer.Start(r.Context(), "POST "+r.URL.Path, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()

	code, d := h.take(ctx, r, began)
	if span.IsRecording() {
		span.SetAttributes(
			attribute.Int("http.response.status_code", code),
			attribute.Int("pairsync.items", d.items), attribute.Int("pairsync.hints", d.hints),
		)
	}
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(h.cfg.RetryAfter/time.Second)))
	}
	answer(w, code)
	if d.hints > 0 {
		// Only what is proved to be Graph's counts; anyone can be slow in sending garbage.
		h.watch.answered(time.Since(began))
	}
	return code
}

// isJSON accepts application/json and everything that ends in +json, with any parameters.
func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	if strings.EqualFold(kind, "application/json") {
		return true
	}
	const suffix = "+json"
	return len(kind) > len(suffix) && strings.EqualFold(kind[len(kind)-len(suffix):], suffix) && strings.Contains(kind, "/")
}

// isPlain refuses compressed bodies: Graph sends none, and unpacking is what a hostile one would want.
func isPlain(encoding string) bool { return encoding == "" || strings.EqualFold(encoding, "identity") }

// refusal is the status for a body that could not be read or parsed.
func refusal(err error) int {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errBodyTooLarge), errors.Is(err, errTooManyItems):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errNoRoom):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}
