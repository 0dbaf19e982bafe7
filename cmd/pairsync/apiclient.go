package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// apiClient is a client of the platform API, as a mentoring platform would have it.
type apiClient struct {
	// base has the version, and no slash at its end.
	base  string
	token string
	http  *http.Client
}

func newAPIClient(base, token string) *apiClient {
	// Its own transport: its connections are to end with it.
	return &apiClient{base: base, token: token, http: &http.Client{Transport: &http.Transport{IdleConnTimeout: time.Minute}}}
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// apiError is an answer that is no success.
type apiError struct {
	request string
	status  int
	body    string
}

// Error tells what was asked and what the API said.
func (e *apiError) Error() string {
	return fmt.Sprintf("%s answers %d: %s", e.request, e.status, e.body)
}

// do sends in as JSON, unless it is nil, and reads the answer into out, unless that is nil.
func (c *apiClient) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return &apiError{method + " " + path, res.StatusCode, oneLine(string(answer))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	return nil
}

// apiChange is a change as the API tells it, as far as it is printed.
type apiChange struct {
	Tenant      string    `json:"tenant"`
	Session     string    `json:"session"`
	Kind        string    `json:"kind"`
	Source      string    `json:"source"`
	Cause       string    `json:"cause"`
	Before      apiFields `json:"before"`
	After       apiFields `json:"after"`
	Participant string    `json:"participant"`
	OccurredAt  time.Time `json:"occurred_at"`
	AppliedAt   time.Time `json:"applied_at"`
}

// apiFields are the fields that a change may hold before and after.
type apiFields struct {
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	Email    string    `json:"email"`
	RSVP     apiRSVP   `json:"rsvp"`
}

// apiRSVP is an attendee's answer.
type apiRSVP struct {
	Response      string    `json:"response"`
	ProposedStart time.Time `json:"proposed_start"`
	ProposedEnd   time.Time `json:"proposed_end"`
}

// errStreamEnded says that the server has closed the stream.
var errStreamEnded = errors.New("the stream has ended")

// stream calls opened when it is connected, and then each for every change as it is committed, until ctx ends. It comes back
// by itself, where it left off, when the connection is lost.
func (c *apiClient) stream(ctx context.Context, opened func(), each func(apiChange)) error {
	var cursor string
	for ctx.Err() == nil {
		err := c.streamOnce(ctx, &cursor, opened, each)
		if !errors.Is(err, errStreamEnded) {
			return err
		}
		pausing(ctx, time.Second)
	}
	return nil
}

// streamOnce reads one connection's share and moves the cursor along.
func (c *apiClient) streamOnce(ctx context.Context, cursor *string, opened func(), each func(apiChange)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/changes/stream", http.NoBody)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if *cursor != "" {
		req.Header.Set("Last-Event-ID", *cursor)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errStreamEnded, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the stream of changes answers %d", res.StatusCode)
	}
	opened()
	return readEvents(res.Body, cursor, each)
}

// readEvents reads server-sent events that hold a change each.
// https://html.spec.whatwg.org/multipage/server-sent-events.html
func readEvents(r io.Reader, cursor *string, each func(apiChange)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var id string
	var data strings.Builder
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && data.Len() > 0:
			var change apiChange
			if err := json.Unmarshal([]byte(data.String()), &change); err != nil {
				return fmt.Errorf("reading a change: %w", err)
			}
			each(change)
			*cursor = id
			data.Reset()
		case field == "id":
			id = value
		case field == "data":
			data.WriteString(value)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errStreamEnded, err)
	}
	return errStreamEnded
}
