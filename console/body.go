package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// readObject reads the request's body, which must be one JSON object with no other members than those allowed.
//
// It reads by hand rather than into a struct: encoding/json takes names in any case, the last of two equal names, and
// can't name the field of every mistake.
func (c *Console) readObject(w http.ResponseWriter, r *http.Request, allowed ...string) (*object, error) {
	if given := r.Header.Get("Content-Type"); given != "" {
		media, params, err := mime.ParseMediaType(given)
		charset := params["charset"]
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") ||
			charset != "" && !strings.EqualFold(charset, "utf-8") {
			return nil, newProblem(kindMediaType, "send JSON in UTF-8, with the header Content-Type: application/json")
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, c.cfg.MaxBody))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, newProblem(kindTooLarge, fmt.Sprintf("the body must not be larger than %d bytes", tooLarge.Limit))
	}
	if err != nil {
		p := newProblem(kindMalformed, "the body ended early or came too slowly")
		p.cause = err
		return nil, p
	}
	if !utf8.Valid(body) {
		return nil, newProblem(kindMalformed, "the body must be UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, newProblem(kindMalformed, "the body must be one JSON object: "+strings.TrimPrefix(err.Error(), "json: ")+place(body, err))
	}
	first := new(error)
	o := newObject(whole, "", first, allowed)
	return o, *first
}

// readOptionalObject is like readObject for a request whose body may be left out.
func (c *Console) readOptionalObject(w http.ResponseWriter, r *http.Request, allowed ...string) (*object, error) {
	if r.Body == nil || r.ContentLength == 0 {
		first := new(error)
		return newObject(json.RawMessage("{}"), "", first, allowed), nil
	}
	return c.readObject(w, r, allowed...)
}

// readNothing refuses a body that says anything.
func (c *Console) readNothing(w http.ResponseWriter, r *http.Request) error {
	body, err := c.readOptionalObject(w, r)
	if err != nil {
		return err
	}
	return body.err()
}

// place says where in the body a syntax error is.
func place(body []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return ""
	}
	before := body[:min(int(syntax.Offset), len(body))]
	return fmt.Sprintf(" (line %d, byte %d of it)", 1+bytes.Count(before, []byte("\n")), len(before)-1-bytes.LastIndexByte(before, '\n'))
}

// object reads the members of one JSON object. The first mistake is kept for all objects of a body, and every read after
// it gives a zero value, so that a handler can read everything and ask once.
type object struct {
	path    string
	members map[string]json.RawMessage
	first   *error
}

func newObject(raw json.RawMessage, path string, first *error, allowed []string) *object {
	o := &object{path: path, members: map[string]json.RawMessage{}, first: first}
	if kindOf(raw) != "an object" {
		o.fail(strings.TrimSuffix(path, "."), "must be an object, not %s", kindOf(raw))
		return o
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	// The whole body is known to be valid JSON, so tokens can't fail.
	_, _ = dec.Token()
	for dec.More() {
		token, _ := dec.Token()
		name, _ := token.(string)
		var value json.RawMessage
		_ = dec.Decode(&value)
		if !slices.Contains(allowed, name) {
			o.fail(path+shorten(name), "is not known here; known are %s", knownHere(allowed))
		}
		if _, twice := o.members[name]; twice {
			o.fail(path+name, "is given twice")
		}
		o.members[name] = value
	}
	return o
}

func knownHere(allowed []string) string {
	if len(allowed) == 0 {
		return "none"
	}
	return strings.Join(allowed, ", ")
}

// err is the first mistake in the body.
func (o *object) err() error { return *o.first }

// fail keeps a mistake if it is the first one. An empty field means the body itself.
func (o *object) fail(field, format string, args ...any) {
	if *o.first != nil {
		return
	}
	if field == "" {
		*o.first = newProblem(kindInvalid, "the body "+fmt.Sprintf(format, args...))
		return
	}
	*o.first = invalid(field, format, args...)
}

// has says whether a member is given and not null.
func (o *object) has(name string) bool {
	raw, ok := o.members[name]
	return ok && kindOf(raw) != "null"
}

// need is the value of a required member.
func (o *object) need(name, what string) (json.RawMessage, bool) {
	if !o.has(name) {
		o.fail(o.path+name, "is required: %s", what)
		return nil, false
	}
	return o.members[name], true
}

// text is a required string that isn't blank, of at most limit characters, with no control characters.
func (o *object) text(name, what string, limit int) string {
	raw, ok := o.need(name, what)
	if !ok {
		return ""
	}
	return o.textOf(raw, o.path+name, what, limit)
}

// optionalText is like text for a member that may be left out, be null or be empty.
func (o *object) optionalText(name, what string, limit int) string {
	if !o.has(name) || string(o.members[name]) == `""` {
		return ""
	}
	return o.textOf(o.members[name], o.path+name, what, limit)
}

// textOf reads one string.
func (o *object) textOf(raw json.RawMessage, field, what string, limit int) string {
	if kindOf(raw) != "a string" {
		o.fail(field, "must be a string (%s), not %s", what, kindOf(raw))
		return ""
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		o.fail(field, "must be a string (%s)", what)
		return ""
	}
	switch {
	case strings.TrimSpace(s) == "":
		o.fail(field, "must not be blank: %s", what)
	case utf8.RuneCountInString(s) > limit:
		o.fail(field, "must not be longer than %d characters", limit)
	case strings.ContainsFunc(s, unicode.IsControl):
		o.fail(field, "must not hold control characters")
	}
	if o.err() != nil {
		return ""
	}
	return s
}

// optionalLines is like optionalText for a text of several lines.
func (o *object) optionalLines(name, what string, limit int) string {
	if !o.has(name) || string(o.members[name]) == `""` {
		return ""
	}
	var s string
	if kindOf(o.members[name]) != "a string" || json.Unmarshal(o.members[name], &s) != nil {
		o.fail(o.path+name, "must be a string (%s), not %s", what, kindOf(o.members[name]))
		return ""
	}
	switch {
	case utf8.RuneCountInString(s) > limit:
		o.fail(o.path+name, "must not be longer than %d characters", limit)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }):
		o.fail(o.path+name, "must not hold control characters other than line breaks and tabs")
	}
	if o.err() != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// number is an optional whole number from low to high; fallback when it is left out.
func (o *object) number(name string, fallback, low, high int) int {
	if !o.has(name) {
		return fallback
	}
	n, err := strconv.Atoi(string(o.members[name]))
	if err != nil || n < low || n > high {
		o.fail(o.path+name, "must be a whole number from %d to %d", low, high)
		return fallback
	}
	return n
}

// oneOf is an optional string out of a closed set; fallback when it is left out.
func (o *object) oneOf(name, fallback string, choices ...string) string {
	if !o.has(name) {
		return fallback
	}
	what := "one of " + strings.Join(choices, ", ")
	s := o.textOf(o.members[name], o.path+name, what, 64)
	if o.err() == nil && !slices.Contains(choices, s) {
		o.fail(o.path+name, "must be %s", what)
	}
	return s
}

// time is a required RFC 3339 time, in UTC and whole microseconds, as PostgreSQL keeps them.
func (o *object) time(name, what string) time.Time {
	s := o.text(name, what+", an RFC 3339 time with offset", 64)
	if o.err() != nil {
		return time.Time{}
	}
	at, ok := parseTime(s)
	if !ok {
		o.fail(o.path+name, "must be an RFC 3339 time with offset between the years 2000 and 2199, such as 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00")
	}
	return at
}

// list is the elements of an array of at most limit elements; none when the member is left out or null.
func (o *object) list(name, what string, limit int) []json.RawMessage {
	if !o.has(name) {
		return nil
	}
	raw := o.members[name]
	var items []json.RawMessage
	if kindOf(raw) != "an array" || json.Unmarshal(raw, &items) != nil {
		o.fail(o.path+name, "must be an array (%s), not %s", what, kindOf(raw))
		return nil
	}
	if len(items) > limit {
		o.fail(o.path+name, "must not have more than %d elements", limit)
		return nil
	}
	return items
}

// inside is an optional object as the value of a member; nil when it is left out or null.
func (o *object) inside(name string, allowed ...string) *object {
	if !o.has(name) {
		return nil
	}
	return newObject(o.members[name], o.path+name+".", o.first, allowed)
}

// kindOf is what a JSON value is, in words.
func kindOf(raw json.RawMessage) string {
	switch raw = bytes.TrimLeft(raw, " \t\r\n"); {
	case len(raw) == 0, raw[0] == 'n':
		return "null"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "an array"
	case raw[0] == '"':
		return "a string"
	case raw[0] == 't', raw[0] == 'f':
		return "a boolean"
	}
	return "a number"
}

// shorten keeps a name that somebody else chose from filling the answer.
func shorten(name string) string {
	if runes := []rune(name); len(runes) > 64 {
		return string(runes[:64]) + "…"
	}
	return name
}
