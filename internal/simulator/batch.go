package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// maxBatch is how many requests one batch may hold. https://learn.microsoft.com/graph/json-batching
const maxBatch = 20

// batchLanes is how many requests of a batch Outlook works on at a time when none depends on another.
const batchLanes = 4

type batchRequest struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

type batchResponse struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// runBatch does the requests of a batch and answers in any order.
func runBatch(c *call) (int, any, error) {
	var in struct {
		Requests []batchRequest `json:"requests"`
	}
	if err := c.decode(&in, false); err != nil {
		return 0, nil, err
	}
	if err := checkBatch(in.Requests); err != nil {
		return 0, nil, err
	}
	sequential := slices.ContainsFunc(in.Requests, func(r batchRequest) bool { return len(r.DependsOn) > 0 })
	lanes := make(chan struct{}, batchLanes)
	if sequential {
		lanes = make(chan struct{}, 1)
	}
	answers := make([]batchResponse, len(in.Requests))
	if sequential {
		status := map[string]int{}
		for i, r := range in.Requests {
			failed := slices.ContainsFunc(r.DependsOn, func(id string) bool { return status[id] >= 400 })
			answers[i] = c.item(r, failed)
			status[r.ID] = answers[i].Status
		}
	} else {
		var wg sync.WaitGroup
		for i, r := range in.Requests {
			lanes <- struct{}{}
			wg.Go(func() {
				answers[i] = c.item(r, false)
				<-lanes
			})
		}
		wg.Wait()
	}
	c.s.faults.shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
	return http.StatusOK, map[string]any{"responses": answers}, nil
}

func checkBatch(requests []batchRequest) error {
	if len(requests) == 0 {
		return badRequest("Invalid batch payload format.")
	}
	if len(requests) > maxBatch {
		return badRequest("Number of batch request steps exceeds the maximum value of %d.", maxBatch)
	}
	var seen []string
	for _, r := range requests {
		switch {
		case r.ID == "" || r.Method == "" || r.URL == "":
			return badRequest("Invalid batch payload format.")
		case slices.Contains(seen, r.ID):
			return badRequest("Request Id %s has duplicate(s).", r.ID)
		case !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}, strings.ToUpper(r.Method)):
			return badRequest("Invalid method '%s' in request '%s'.", r.Method, r.ID)
		}
		for _, d := range r.DependsOn {
			if !slices.Contains(seen, d) {
				return badRequest("Invalid dependsOn '%s' in request '%s'.", d, r.ID)
			}
		}
		seen = append(seen, r.ID)
	}
	return nil
}

// item does one request of a batch.
func (c *call) item(r batchRequest, failed bool) batchResponse {
	refused := func(e *graphError) batchResponse {
		part := &call{s: c.s, r: c.r, header: http.Header{}}
		body, _ := json.Marshal(part.envelope(e)) // Strings only.
		return batchResponse{ID: r.ID, Status: e.status, Headers: map[string]string{"Content-Type": "application/json"}, Body: body}
	}
	if failed {
		return refused(refuse(http.StatusFailedDependency, "FailedDependency", "A request that this one depends on has failed."))
	}
	target := "/v1.0/" + strings.TrimPrefix(r.URL, "/")
	if strings.HasPrefix(target, "/v1.0/$batch") {
		return refused(badRequest("A batch cannot hold a batch."))
	}
	req, err := http.NewRequestWithContext(c.r.Context(), strings.ToUpper(r.Method), target, bytes.NewReader(r.Body))
	if err != nil || path.Clean(req.URL.Path) != req.URL.Path {
		return refused(badRequest("The URL of request '%s' is not valid.", r.ID))
	}
	if len(r.Body) == 0 || string(r.Body) == "null" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Host, req.TLS = c.r.Host, c.r.TLS
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", c.r.Header.Get("Authorization"))
	req.Header.Del("Content-Encoding")
	rec := &recorder{header: http.Header{}}
	if !rec.serve(c.s.service, req) {
		return refused(refuse(http.StatusGatewayTimeout, "GatewayTimeout", "The upstream server did not answer in time."))
	}
	out := batchResponse{ID: r.ID, Status: rec.status, Headers: map[string]string{}}
	for name := range rec.header {
		out.Headers[name] = rec.header.Get(name)
	}
	if body := bytes.TrimSpace(rec.body.Bytes()); json.Valid(body) {
		out.Body = body
	}
	return out
}

// recorder keeps an answer for the batch that it is part of.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

// serve is false when the handler cut the connection.
func (r *recorder) serve(h http.Handler, req *http.Request) (answered bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint,err113 // A panic value, not an error that was returned.
				panic(p)
			}
			answered = false
		}
	}()
	h.ServeHTTP(r, req)
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return true
}

func unknownSegment(path string) *graphError {
	return badRequest("Resource not found for the segment '%s'.", strings.TrimPrefix(path, "/v1.0/"))
}
