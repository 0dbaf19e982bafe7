package main

import (
	"io"
	"net/http"
	"sync/atomic"
)

// gate answers 503 until a handler is put behind it.
type gate struct{ behind atomic.Pointer[http.Handler] }

func newGate() *gate { return &gate{} }

// open puts the handler behind the gate.
func (g *gate) open(h http.Handler) { g.behind.Store(&h) }

// ServeHTTP passes the request on, or asks the client to come back soon.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.behind.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "2")
	w.WriteHeader(http.StatusServiceUnavailable)
	// A client that went away is no trouble of ours.
	_, _ = io.WriteString(w, `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"pairsync is waiting for its database"}`+"\n")
}
