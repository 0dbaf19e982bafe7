package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
)

const headerRequestID = "X-Request-Id"

// statusCallerLeft is what proxies of the nginx family log for a caller that didn't wait for its answer.
const statusCallerLeft = 499

// handler answers a request of a known principal. An error becomes a problem document; anything but a *problemError is
// logged and shown as an internal error.
type handler func(w http.ResponseWriter, r *http.Request, who principal) error

// ServeHTTP implements http.Handler: the frame around every request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rec := &recorder{ResponseWriter: w}
	setHeaders(rec.Header(), r)
	control := http.NewResponseController(w)
	// Refused only by writers without a connection, which have no slow client either.
	_ = control.SetReadDeadline(began.Add(c.cfg.RequestTimeout))
	_ = control.SetWriteDeadline(began.Add(c.cfg.RequestTimeout + c.cfg.WriteTimeout))
	defer func() {
		if cause := recover(); cause != nil {
			c.recovered(rec, r, cause)
		}
		c.metrics.observe(r.Pattern, rec.status, time.Since(began))
	}()
	// The mux would answer an unclean path with a redirect to another resource.
	if escaped := r.URL.EscapedPath(); escaped != "" && path.Clean(escaped) != strings.TrimSuffix(escaped, "/") && escaped != "/" {
		writeProblem(rec, newProblem(kindNotFound, "there is nothing at this path"))
		return
	}
	c.mux.ServeHTTP(rec, r)
}

// recovered answers a request whose handler panicked.
func (c *Console) recovered(rec *recorder, r *http.Request, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	c.log.LogAttrs(r.Context(), slog.LevelError, "api request panicked",
		slog.String("route", r.Pattern),
		slog.String("request_id", rec.Header().Get(headerRequestID)),
		slog.String("panic", fmt.Sprint(cause)),
		slog.String("stack", string(debug.Stack())))
	if rec.status == 0 {
		writeProblem(rec, newProblem(kindInternal, "the request failed inside pairsync; its log has the request id"))
	}
}

// setHeaders sets what every answer carries. The answers are data, not pages: nothing may store, sniff, frame or run them.
func setHeaders(h http.Header, r *http.Request) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	id := r.Header.Get(headerRequestID)
	if !plainID(id) {
		id = uuid.NewString()
	}
	h.Set(headerRequestID, id)
}

// plainID says whether a request id can be echoed and logged as it came.
func plainID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, r := range id {
		if !letterOrDigit(r) && !strings.ContainsRune("-_.:", r) {
			return false
		}
	}
	return true
}

// serve turns a handler into an http.Handler: the token first, then a bounded time, then what became of it.
func (c *Console) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), c.cfg.RequestTimeout)
		defer cancel()
		c.dispatch(h, w, r.WithContext(ctx))
	}
}

// serveFor is like serve for a request that may take longer.
func (c *Console) serveFor(limit time.Duration, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + c.cfg.WriteTimeout))
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		c.dispatch(h, w, r.WithContext(ctx))
	}
}

// dispatch runs a handler for whoever the token says, and answers its error.
func (c *Console) dispatch(h handler, w http.ResponseWriter, r *http.Request) {
	who, err := c.tokens.principal(r)
	if err == nil {
		err = h(w, r, who)
	}
	if err == nil {
		return
	}
	problem, ok := asProblem(err)
	if !ok && errors.Is(r.Context().Err(), context.Canceled) {
		// The caller has left, which is why the handler failed. The status is seen by the metrics only.
		w.WriteHeader(statusCallerLeft)
		return
	}
	if !ok {
		problem = c.failed(r, err)
	}
	if problem.cause != nil {
		c.log.LogAttrs(r.Context(), problem.kind.level(), "api request failed",
			slog.String("route", r.Pattern),
			slog.String("token", who.name),
			slog.String("request_id", w.Header().Get(headerRequestID)),
			slog.Any("error", problem.cause))
	}
	writeProblem(w, problem)
}

// failed tells a fault that passes, the database being away, from one of our own by asking the database.
func (c *Console) failed(r *http.Request, cause error) *problemError {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if errors.Is(cause, context.DeadlineExceeded) || c.store.Ping(ctx) != nil {
		p := newProblem(kindUnavailable, "pairsync can't reach its database just now; send the request again")
		p.cause = cause
		return p
	}
	p := newProblem(kindInternal, "the request failed inside pairsync; its log has the request id")
	p.cause = cause
	return p
}

// recorder remembers the status for the metrics.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// writeJSON answers with v. A failed write has nobody left to tell.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}

// created is the status of a PUT: 201 for what is new, 200 for what was there.
func created(isNew bool) int {
	if isNew {
		return http.StatusCreated
	}
	return http.StatusOK
}
