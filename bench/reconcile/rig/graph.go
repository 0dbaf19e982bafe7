package rig

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Graph is a login and a Graph service that knows every event and shows it moved by an hour.
type Graph struct {
	// URL is the service root, and Authority the login's.
	URL       string
	Authority string

	server  *http.Server
	latency time.Duration
}

// StartGraph serves on a free port of this machine. Every read takes at least latency.
func StartGraph(ctx context.Context, latency time.Duration) (*Graph, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the trivial Graph: %w", err)
	}
	base := "http://" + l.Addr().String()
	g := &Graph{URL: base + "/v1.0", Authority: base, latency: latency}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		t := base + "/" + r.PathValue("tenant")
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"issuer":"%s/v2.0","authorization_endpoint":"%s/oauth2/v2.0/authorize","token_endpoint":"%s/oauth2/v2.0/token"}`, t, t, t)
	})
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"token"}`)
	})
	mux.HandleFunc("GET /v1.0/users/{user}/events/{event}", g.event)
	mux.HandleFunc("POST /v1.0/$batch", g.batch)
	g.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := g.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // A benchmark without its Graph measures nothing.
		}
	}()
	return g, nil
}

// Stop ends the server.
func (g *Graph) Stop(ctx context.Context) error { return g.server.Shutdown(ctx) }

func (g *Graph) event(w http.ResponseWriter, r *http.Request) {
	if !g.wait(r.Context(), 1) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(strings.ReplaceAll(eventJSON, "{id}", r.PathValue("event"))))
}

// batch answers all of a batch after the time that Graph takes for it, four at a time.
func (g *Graph) batch(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Requests []struct {
			ID  string `json:"id"`
			URL string `json:"url"`
		} `json:"requests"`
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	if err := json.NewDecoder(body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !g.wait(r.Context(), len(asked.Requests)) {
		return
	}
	answer := []byte(`{"responses":[`)
	for i, item := range asked.Requests {
		if i > 0 {
			answer = append(answer, ',')
		}
		path, _, _ := strings.Cut(item.URL, "?")
		_, event, _ := strings.Cut(path, "/events/")
		answer = fmt.Appendf(answer, `{"id":%q,"status":200,"headers":{"Content-Type":"application/json"},"body":`, item.ID)
		answer = append(answer, strings.ReplaceAll(eventJSON, "{id}", event)...)
		answer = append(answer, '}')
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(answer, "]}"...))
}

// wait takes the time of n reads and says false when the caller has gone meanwhile.
func (g *Graph) wait(ctx context.Context, n int) bool {
	if g.latency <= 0 {
		return true
	}
	t := time.NewTimer(g.latency * time.Duration((n+3)/4))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ChangeKey is the version in which the trivial Graph shows every event.
const ChangeKey = "version-2"

// eventJSON is an event as Graph would show it with what pairsync selects.
const eventJSON = `{"@odata.etag":"W/\"version-2\"","id":"{id}","iCalUId":"uid-{id}","changeKey":"version-2",` +
	`"type":"singleInstance","seriesMasterId":null,"isCancelled":false,"lastModifiedDateTime":"2030-01-01T08:00:00.0000000Z",` +
	`"start":{"dateTime":"2090-01-01T10:00:00.0000000","timeZone":"UTC"},` +
	`"end":{"dateTime":"2090-01-01T10:30:00.0000000","timeZone":"UTC"},"onlineMeeting":null,` +
	`"organizer":{"emailAddress":{"name":"Ada","address":"ada@contoso.example"}},"attendees":[{"type":"required",` +
	`"status":{"response":"none","time":"0001-01-01T00:00:00Z"},"emailAddress":{"name":"Grace","address":"grace@contoso.example"}}]}`
