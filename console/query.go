package console

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How many items a page has: unless told, and at most.
const (
	defaultLimit = 100
	maxLimit     = 500
)

// query reads the parameters of a URL. Like object, it keeps the first mistake.
type query struct {
	values url.Values
	first  error
}

// readQuery refuses parameters that the path doesn't know, since a misspelt filter would be no filter, and such that are
// given twice.
func readQuery(r *http.Request, allowed ...string) *query {
	q := &query{}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		q.first = newProblem(kindMalformed, "the part of the URL behind the question mark is not well encoded")
		return q
	}
	q.values = values
	for name, given := range values {
		if !slices.Contains(allowed, name) {
			q.fail(shorten(strings.ToValidUTF8(name, "\uFFFD")), "is not a parameter here; known are %s", strings.Join(allowed, ", "))
		}
		if len(given) > 1 {
			q.fail(name, "is given twice")
		}
	}
	return q
}

func (q *query) fail(field, format string, args ...any) {
	if q.first == nil {
		q.first = malformed(field, format, args...)
	}
}

// text is a parameter's value; empty when it is not given.
func (q *query) text(name string) string { return q.values.Get(name) }

// limit is how many items the caller wants: 100 unless told, never above 500.
func (q *query) limit() int {
	given := q.text("limit")
	if given == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(given)
	if err != nil && strings.Trim(given, "0123456789") == "" {
		return maxLimit
	}
	if err != nil || n < 1 {
		q.fail("limit", "must be a number from 1 to %d", maxLimit)
	}
	return min(n, maxLimit)
}

// time is an optional RFC 3339 time; zero when it is not given.
func (q *query) time(name string) time.Time {
	given := q.text(name)
	if given == "" {
		return time.Time{}
	}
	at, ok := parseTime(given)
	if !ok {
		// A plus that isn't encoded arrives as a space.
		at, ok = parseTime(strings.ReplaceAll(given, " ", "+"))
	}
	if !ok {
		q.fail(name, "must be an RFC 3339 time with offset, such as 2026-12-01T09:00:00Z")
	}
	return at
}

// status is an optional status out of a closed set.
func (q *query) status(choices ...string) string {
	given := q.text("status")
	if given != "" && !slices.Contains(choices, given) {
		q.fail("status", "must be one of %s", strings.Join(choices, ", "))
	}
	return given
}

// feedCursor is a place in the change feed, under the first of the names that is given; 0, its beginning, if none is.
func (q *query) feedCursor(names ...string) int64 {
	for _, name := range names {
		given := q.text(name)
		if given == "" {
			continue
		}
		cursor, ok := parseFeedCursor(given)
		if !ok {
			q.fail(name, "must be the cursor of a change or a next_cursor, just as it was given")
		}
		return cursor
	}
	return 0
}

// parseFeedCursor reads a place in the change feed, which is a decimal number to us and opaque to everybody else.
func parseFeedCursor(s string) (int64, bool) {
	cursor, err := strconv.ParseInt(s, 10, 64)
	return cursor, err == nil && cursor >= 0
}

func formatFeedCursor(cursor int64) string { return strconv.FormatInt(cursor, 10) }

// place is where a page of sessions ended: its last session's start and id, by which the list is ordered.
type listPlace struct {
	startsAt time.Time
	id       string
}

// listCursor is a place in a list of sessions; zero when none is given.
func (q *query) listCursor() listPlace {
	given := q.text("cursor")
	if given == "" {
		return listPlace{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(given)
	micros, id, found := strings.Cut(string(raw), ".")
	at, convErr := strconv.ParseInt(micros, 10, 64)
	if err != nil || convErr != nil || !found || !validID(id) {
		q.fail("cursor", "must be a next_cursor, just as it was given")
		return listPlace{}
	}
	return listPlace{startsAt: time.UnixMicro(at).UTC(), id: id}
}

func (p listPlace) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.startsAt.UnixMicro(), 10) + "." + p.id))
}

// idCursor is the id behind which a page of participants begins; empty when none is given.
func (q *query) idCursor() string {
	given := q.text("cursor")
	if given == "" {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(given)
	if err != nil || !validID(string(raw)) {
		q.fail("cursor", "must be a next_cursor, just as it was given")
		return ""
	}
	return string(raw)
}

func formatIDCursor(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// page is a list as it is answered. NextCursor is nil on the last page.
type page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

// newPage makes a page of the items, of which one more than limit was asked for, so that a page knows whether it's the
// last.
func newPage[T any](items []T, limit int, cursor func(last T) string) page[T] {
	p := page[T]{Items: items}
	if len(items) > limit {
		p.Items = items[:limit]
		next := cursor(items[limit-1])
		p.NextCursor = &next
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}
