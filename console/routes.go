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
		"/v1/openapi.json":       {http.MethodGet: c.getDocument},
		tenant:                   {http.MethodPut: c.serve(c.putTenant), http.MethodGet: c.serve(c.getTenant)},
		participant:              {http.MethodPut: c.serve(c.putParticipant), http.MethodGet: c.serve(c.getParticipant)},
		tenant + "/participants": {http.MethodGet: c.serve(c.listParticipants)},
		tenant + "/sessions":     {http.MethodGet: c.serve(c.listSessions)},
		session:                  {http.MethodPut: c.serve(c.putSession), http.MethodGet: c.serve(c.getSession)},
		session + "/changes":     {http.MethodGet: c.serve(c.listSessionChanges)},
		session + "/cancel":      {http.MethodPost: c.serve(c.cancelSession)},
		"/v1/changes":            {http.MethodGet: c.serve(c.listChanges)},
		"/v1/changes/stream":     {http.MethodGet: c.serveStream},
	}
	maps.Copy(table, c.connections(tenant, participant))
	var patterns []string
	for path, methods := range table {
		for method, h := range methods {
			c.mux.HandleFunc(method+" "+path, h)
			patterns = append(patterns, method+" "+path)
		}
		c.mux.HandleFunc(path, otherMethod(slices.Collect(maps.Keys(methods))))
	}
	for path, h := range c.Callbacks() {
		c.mux.Handle(path, h)
	}
	c.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, newProblem(kindNotFound, "there is nothing at this path; /v1/openapi.json lists what there is"))
	})
	slices.Sort(patterns)
	return patterns
}

// connections are the paths by which organisations and people are connected, and by which changes are answered.
func (c *Console) connections(tenant, participant string) map[string]map[string]http.HandlerFunc {
	const (
		pending     = "/pending"
		integration = "/integration-requests"
	)
	post := func(h handler) map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{http.MethodPost: c.serve(h)}
	}
	return map[string]map[string]http.HandlerFunc{
		tenant + "/callback-secret":                 post(c.rotateCallbackSecret),
		tenant + "/consent":                         post(c.openConsent),
		tenant + "/test":                            {http.MethodPost: c.serveFor(c.cfg.TestTimeout, c.testConnection)},
		tenant + "/free-busy":                       {http.MethodGet: c.serve(c.getFreeBusy)},
		tenant + "/incidents":                       {http.MethodGet: c.serve(c.listIncidents)},
		participant + "/connect":                    post(c.openConnect),
		tenant + pending:                            {http.MethodGet: c.serve(c.listPending)},
		tenant + pending + "/{pending}/apply":       post(c.applyPending),
		tenant + pending + "/{pending}/undo":        post(c.undoPending),
		tenant + integration:                        {http.MethodGet: c.serve(c.listIntegrationRequests), http.MethodPost: c.serve(c.askForIntegration)},
		tenant + integration + "/{request}/approve": post(c.approveIntegration),
		tenant + integration + "/{request}/decline": post(c.declineIntegration),
	}
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
