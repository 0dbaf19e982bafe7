package main

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// collector receives traces and keeps, by trace id, what was done by whom: "scope: span".
type collector struct {
	mu     sync.Mutex
	traces map[string][]string
}

// ServeHTTP takes an OTLP/HTTP request in protobuf: resource_spans = 1, in it scope_spans = 2, in it scope = 1 with name = 1
// and spans = 2 with trace_id = 1 and name = 5.
// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range fields(body, 1) {
		for _, group := range fields(resource, 2) {
			var scope string
			for _, s := range fields(group, 1) {
				scope = string(first(fields(s, 1)))
			}
			for _, span := range fields(group, 2) {
				id := hex.EncodeToString(first(fields(span, 1)))
				c.traces[id] = append(c.traces[id], scope+": "+string(first(fields(span, 5))))
			}
		}
	}
}

// fields returns the length-delimited fields of a protobuf message that have the number.
func fields(message []byte, number uint64) (found [][]byte) {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		message = message[max(n, 1):]
		size := uint64(0)
		switch tag & 7 {
		case 0:
			_, n = binary.Uvarint(message)
			size = uint64(max(n, 1))
		case 1:
			size = 8
		case 2:
			size, n = binary.Uvarint(message)
			message = message[max(n, 1):]
		case 5:
			size = 4
		}
		size = min(size, uint64(len(message)))
		if tag>>3 == number && tag&7 == 2 {
			found = append(found, message[:size])
		}
		message = message[size:]
	}
	return found
}

func first(all [][]byte) []byte {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// TestOneTraceFromTheDoorToTheCommit moves a meeting and finds the POST, what came out of NATS, the reading and the commit
// in one trace, down to the SQL.
func TestOneTraceFromTheDoorToTheCommit(t *testing.T) {
	t.Parallel()
	traces := &collector{traces: map[string][]string{}}
	server := httptest.NewServer(traces)
	defer server.Close()
	s := newSite(t)
	s.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.URL
	p := start(t, s.env, "serve")
	s.ready(t)
	tenant, session := s.link(t)
	if err := s.outlook.move(session.EventID, time.Hour); err != nil {
		t.Fatal(err)
	}
	seen, err := s.outlook.sim.Event(session.EventID)
	if err != nil {
		t.Fatal(err)
	}
	s.follows(t, tenant, seen.Start)
	if status := p.ends(t, os.Interrupt); status != 0 { // Sends what is left.
		t.Errorf("ended with status %d", status)
	}

	traces.mu.Lock()
	defer traces.mu.Unlock()
	var all []string
	want := []string{
		"pairsync/webhook: POST", "pairsync/internal/queue: ", "pairsync/internal/graph: ", "pairsync/workers: commit",
		"github.com/exaring/otelpgx: COMMIT",
	}
	for _, spans := range traces.traces {
		text := strings.Join(spans, "\n")
		if !slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(text, part) }) {
			return
		}
		all = append(all, text)
	}
	t.Errorf("no trace holds all of %q; there are:\n%s", want, strings.Join(all, "\n\n"))
}
