package simulator

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// graphJSON is the content type that Graph answers with.
const graphJSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

// maxBody is the most that a request body may hold, compressed or not.
const maxBody = 4 << 20

// graphError is an answer that says what is wrong, in Graph's envelope.
// https://learn.microsoft.com/graph/errors
type graphError struct {
	status        int
	code, message string
	retryAfter    string
}

func (e *graphError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

func refuse(status int, code, message string) *graphError {
	return &graphError{status: status, code: code, message: message}
}

func badRequest(format string, args ...any) *graphError {
	return refuse(http.StatusBadRequest, "BadRequest", fmt.Sprintf(format, args...))
}

func itemNotFound() *graphError {
	return refuse(http.StatusNotFound, "ErrorItemNotFound", "The specified object was not found in the store.")
}

// call is one Graph call: who makes it, on which mailbox, and how the answer is to look.
type call struct {
	s         *Simulator
	r         *http.Request
	op        string
	who       *claims
	tenant    *tenant
	box       *mailbox
	immutable bool
	zone      zone
	pageSize  int
	header    http.Header
}

// handler does one operation. A nil body answers with the status alone.
type handler func(c *call) (status int, body any, err error)

// operation is one Graph call by name.
type operation struct {
	name string
	// permissions are those of which one is needed.
	permissions []string
	// mailbox says that the call goes to Exchange, where the mailbox may be out of reach, and not to the directory.
	mailbox bool
	do      handler
}

// graph makes an http.Handler of an operation: authentication, faults, limits, and Graph's way to write answers.
func (s *Simulator) graph(o operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.counts.call(o.name)
		c := &call{s: s, r: r, op: o.name, header: w.Header(), zone: utcZone()}
		status, body, err := c.run(o)
		if err != nil {
			var e *graphError
			if !errors.As(err, &e) {
				e = refuse(http.StatusInternalServerError, "generalException", err.Error())
			}
			status, body = e.status, c.envelope(e)
			if e.retryAfter != "" {
				c.header.Set("Retry-After", e.retryAfter)
			}
		}
		s.counts.answer(o.name, status)
		c.write(w, status, body)
	}
}

func (c *call) run(o operation) (int, any, error) {
	if err := c.authenticate(); err != nil {
		return 0, nil, err
	}
	if err := c.preferences(); err != nil {
		return 0, nil, err
	}
	resolveErr := c.resolve(o)
	fault := c.s.faults.hit(c.target())
	if fault != nil {
		if err := c.suffer(fault); err != nil {
			return 0, nil, err
		}
	}
	if resolveErr != nil {
		return 0, nil, resolveErr
	}
	if len(o.permissions) > 0 && !c.who.may(o.permissions) {
		if o.mailbox {
			return 0, nil, refuse(http.StatusForbidden, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
		}
		return 0, nil, refuse(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
	if o.mailbox {
		if err := c.s.reachable(c.box, o.writes()); err != nil {
			return 0, nil, err
		}
		if !c.box.gate.enter(c.s.cfg.MailboxConcurrency) {
			e := refuse(http.StatusTooManyRequests, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
			e.retryAfter = "1"
			return 0, nil, e
		}
		defer c.box.gate.leave()
	}
	if err := wait(c.r.Context(), c.s.cfg.Latency); err != nil {
		panic(http.ErrAbortHandler) // The caller has gone.
	}
	status, body, err := o.do(c)
	if fault != nil && fault.Lost {
		panic(http.ErrAbortHandler)
	}
	return status, body, err
}

// authenticate checks the bearer token.
func (c *call) authenticate() error {
	refused := func(message string) error {
		return refuse(http.StatusUnauthorized, "InvalidAuthenticationToken", message)
	}
	token, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return refused("Access token is empty.")
	}
	who, err := c.s.tokens.check(token)
	if err != nil {
		if strings.Contains(err.Error(), "expired") {
			return refused("Lifetime validation failed, the token is expired.")
		}
		return refused("IDX14100: JWT is not well formed, or its signature is not valid.")
	}
	t, err := c.s.findTenant(who.TenantID)
	if err != nil {
		return refused("The tenant of the token is not known.")
	}
	c.s.world.mu.RLock()
	consent, good := t.consent, c.s.world.stillGood(who)
	c.s.world.mu.RUnlock()
	if !good || who.Session == "" && consent == ConsentMissing {
		// Continuous access evaluation: the caller has to ask for a new token, and is told there.
		return refused("Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp")
	}
	if consent == ConsentWithdrawn && !who.person() {
		bare := *who
		bare.Roles = nil
		who = &bare
	}
	c.who, c.tenant = who, t
	return nil
}

// preferences reads the Prefer headers that calendars know.
func (c *call) preferences() error {
	for _, line := range c.r.Header.Values("Prefer") {
		for p := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "idtype":
				c.immutable = strings.EqualFold(value, "ImmutableId")
			case "outlook.timezone":
				z, err := parseZone(value)
				if err != nil {
					return refuse(http.StatusBadRequest, "TimeZoneNotSupportedException", fmt.Sprintf(
						"A valid TimeZone value must be specified. The following TimeZone value is not supported: '%s'.", value))
				}
				c.zone = z
				c.header.Add("Preference-Applied", `outlook.timezone="`+value+`"`)
			case "odata.maxpagesize":
				if _, err := fmt.Sscanf(value, "%d", &c.pageSize); err != nil || c.pageSize < 1 {
					c.pageSize = 0
				}
			}
		}
	}
	return nil
}

// resolve finds the mailbox of the call, which is the caller's own below /me.
func (c *call) resolve(o operation) error {
	ref := c.r.PathValue("user")
	if ref == "" {
		if !strings.Contains(c.r.URL.Path, "/me") {
			return nil
		}
		if !c.who.person() {
			return badRequest("/me request is only valid with delegated authentication flow.")
		}
		ref = c.who.ObjectID
	}
	w := c.s.world
	w.mu.RLock()
	box, err := w.person(ref)
	gone := err == nil && box.kind == MailboxDeleted
	w.mu.RUnlock()
	if err == nil && box.tenant == c.tenant {
		c.box = box
	}
	switch {
	case c.box == nil && o.mailbox || gone && o.mailbox:
		return refuse(http.StatusNotFound, "ErrorInvalidUser",
			fmt.Sprintf("The requested user '%s@%s' is invalid.", ref, c.tenant.id))
	case c.box == nil || gone:
		return refuse(http.StatusNotFound, "Request_ResourceNotFound", fmt.Sprintf(
			"Resource '%s' does not exist or one of its queried reference-property objects are not present.", ref))
	case c.who.person() && c.who.ObjectID != box.id && o.mailbox:
		return refuse(http.StatusForbidden, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
	}
	return nil
}

// writes says whether the operation changes a calendar.
func (o operation) writes() bool { return slices.Equal(o.permissions, writeCalendars()) }

// reachable says why Exchange doesn't serve a mailbox, if it doesn't.
func (s *Simulator) reachable(box *mailbox, write bool) error {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	if e := box.kind.refusal(); e != nil {
		return e
	}
	if write && box.kind == MailboxFull {
		return full()
	}
	return nil
}

func (c *call) target() target {
	t := target{op: c.op, tenant: c.tenant.id, box: c.box}
	if id := c.r.PathValue("event"); id != "" && c.box != nil {
		t.events = []string{id}
		c.s.world.mu.RLock()
		if it := c.box.byID[id]; it != nil {
			t.events = []string{it.id, it.legacyID}
		}
		c.s.world.mu.RUnlock()
	}
	return t
}

// suffer lets a fault happen to the call. A nil error lets the call go on.
func (c *call) suffer(f *Fault) error {
	if wait(c.r.Context(), f.Latency.Duration) != nil || f.Cut {
		panic(http.ErrAbortHandler)
	}
	if f.Status == 0 {
		return nil
	}
	e := refuse(f.Status, f.Code, f.Message)
	e.retryAfter = f.RetryAfter
	if e.code == "" {
		e.code, e.message = usualError(f.Status)
	}
	return e
}

// usualError is what Graph says with a status when nothing else is known.
func usualError(status int) (code, message string) {
	switch status {
	case http.StatusTooManyRequests:
		return "TooManyRequests", "Please retry again later."
	case http.StatusUnauthorized:
		return "InvalidAuthenticationToken", "Access token has expired or is not yet valid."
	case http.StatusForbidden:
		return "ErrorAccessDenied", "Access is denied. Check credentials and try again."
	case http.StatusNotFound:
		return "ErrorItemNotFound", "The specified object was not found in the store."
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable", "The service is temporarily unavailable. Please retry again later."
	case http.StatusGatewayTimeout:
		return "GatewayTimeout", "The upstream server did not answer in time."
	default:
		return "generalException", "An internal server error occurred."
	}
}

func (c *call) envelope(e *graphError) any {
	id := c.header.Get("request-id")
	if id == "" {
		id = newGUID()
		c.header.Set("request-id", id)
	}
	client := c.r.Header.Get("client-request-id")
	if client == "" {
		client = id
	}
	return map[string]any{"error": map[string]any{
		"code": e.code, "message": e.message,
		"innerError": map[string]any{
			"date": time.Now().UTC().Format("2006-01-02T15:04:05"), "request-id": id, "client-request-id": client,
		},
	}}
}

func (c *call) write(w http.ResponseWriter, status int, body any) {
	h := c.header
	if h.Get("request-id") == "" {
		h.Set("request-id", newGUID())
	}
	if client := c.r.Header.Get("client-request-id"); client != "" {
		h.Set("client-request-id", client)
	}
	h.Set("Cache-Control", "private")
	if body == nil {
		w.WriteHeader(status)
		return
	}
	h.Set("Content-Type", graphJSON)
	var buf bytes.Buffer
	if err := encode(&buf, body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // The caller may have gone.
}

// decode reads a JSON body, compressed or not. An absent body leaves v as it is when it may be absent.
func (c *call) decode(v any, optional bool) error {
	body, err := readBody(c.r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		if optional {
			return nil
		}
		return badRequest("Empty Payload. JSON content expected.")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	return nil
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	var src io.Reader = r.Body
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return nil, badRequest("The request body is not valid gzip.")
		}
		src = z
	}
	body, err := io.ReadAll(io.LimitReader(src, maxBody+1))
	if err != nil {
		return nil, badRequest("The request body cannot be read.")
	}
	if len(body) > maxBody {
		return nil, refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request body is too large.")
	}
	return body, nil
}
