package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Probe tells what keeps a part from working, or nil.
type Probe func(ctx context.Context) error

// Readiness knows what the roles of this process need, and asks each part when it is itself asked. It is ready when every
// probe returns nil. A Readiness without probes is ready.
type Readiness struct {
	timeout time.Duration

	mu     sync.Mutex
	probes map[string]Probe
}

// NewReadiness gives each probe that long to answer; zero means 2 s.
func NewReadiness(timeout time.Duration) *Readiness {
	return &Readiness{timeout: cmp.Or(timeout, 2*time.Second), probes: map[string]Probe{}}
}

// Require adds a part, or gives a part of that name another probe.
func (r *Readiness) Require(name string, probe Probe) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probes[name] = probe
}

// Missing is one part that does not work.
type Missing struct {
	Name string `json:"name"`
	// Reason is the probe's error.
	Reason string `json:"reason"`
}

// Check asks all parts at once and returns those that do not work, sorted by name.
func (r *Readiness) Check(ctx context.Context) []Missing {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()

	r.mu.Lock()
	probes := maps.Clone(r.probes)
	r.mu.Unlock()

	answers := make(chan Missing, len(probes))
	for name, probe := range probes {
		go func() {
			if err := probe(ctx); err != nil {
				answers <- Missing{Name: name, Reason: err.Error()}
				return
			}
			answers <- Missing{Name: name}
		}()
	}
	var missing []Missing
	for len(probes) > 0 {
		select {
		case m := <-answers:
			delete(probes, m.Name)
			if m.Reason != "" {
				missing = append(missing, m)
			}
		case <-ctx.Done():
			for name := range probes {
				missing = append(missing, Missing{Name: name, Reason: "did not answer in time"})
			}
			clear(probes)
		}
	}
	slices.SortFunc(missing, func(a, b Missing) int { return cmp.Compare(a.Name, b.Name) })
	return missing
}

// ServeHTTP answers 200 {"ready":true,"missing":[]} when everything works, else 503 with what is missing and why.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	missing := r.Check(req.Context())
	status := http.StatusOK
	if len(missing) > 0 {
		status = http.StatusServiceUnavailable
	}
	body, err := json.Marshal(struct {
		Ready   bool      `json:"ready"`
		Missing []Missing `json:"missing"`
	}{len(missing) == 0, append([]Missing{}, missing...)})
	if err != nil {
		http.Error(w, "encoding the answer failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that went away is no trouble of ours.
	_, _ = w.Write(append(body, '\n'))
}
