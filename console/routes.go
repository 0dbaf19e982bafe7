package console

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// route fills the mux and gives the patterns with their methods, for metrics that exist from the start.
func (c *Console) route() []string {
	const (
		tenant      = "/v1/tenants/{tenant}"
		participant = tenant + "/participants/{participant}"
		session     = tenant + "/sessions/{session}"
	)
	table := map[string]map[string]http.HandlerFunc{
		// The description holds no data, so it needs no token: tools fetch it before they have one.
		"/v1/openapi.json":   {http.MethodGet: c.getDocument},
		tenant:               {http.MethodPut: c.serve(c.putTenant), http.MethodGet: c.serve(c.getTenant)},
		participant:          {http.MethodPut: c.serve(c.putParticipant), http.MethodGet: c.serve(c.getParticipant)},
		tenant + "/sessions": {http.MethodGet: c.serve(c.listSessions)},
		session:              {http.MethodPut: c.serve(c.putSession), http.MethodGet: c.serve(c.getSession)},
		session + "/changes": {http.MethodGet: c.serve(c.listSessionChanges)},
		"/v1/changes":        {http.MethodGet: c.serve(c.listChanges)},
		"/v1/changes/stream": {http.MethodGet: c.serveStream},
	}
	var patterns []string
	for path, methods := range table {
		for method, h := range methods {
			c.mux.HandleFunc(method+" "+path, h)
			patterns = append(patterns, method+" "+path)
		}
		c.mux.HandleFunc(path, otherMethod(slices.Collect(maps.Keys(methods))))
	}
	c.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, newProblem(kindNotFound, "there is nothing at this path; /v1/openapi.json lists what there is"))
	})
	slices.Sort(patterns)
	return patterns
}

// otherMethod answers OPTIONS, and refuses every method that the path doesn't take.
func otherMethod(methods []string) http.HandlerFunc {
	allowed := append([]string{http.MethodOptions}, methods...)
	if slices.Contains(methods, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		writeProblem(w, newProblem(kindMethod, "this path takes "+allow))
	}
}
