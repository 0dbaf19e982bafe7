package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"unicode/utf8"
)

// FuzzSessionBody reads anything as a session. It must be refused with a problem or give a wish that the store can keep.
func FuzzSessionBody(f *testing.F) {
	f.Add([]byte(`{"organizer":"p-1","attendees":["p-2"],"starts_at":"2099-12-01T09:00:00Z","ends_at":"2099-12-01T09:30:00Z","time_zone":"UTC","title":"T","online_meeting":"teams","outlook":{"event_id":"event"}}`))
	f.Add([]byte(`{"organizer":1,"attendees":{},"outlook":[]}`))
	f.Add([]byte(`[[[[`))
	f.Add([]byte("{\"a\":\"\\ud800\",\"a\":1}"))
	c := &Console{cfg: Config{MaxBody: 64 << 10}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := c.readObject(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/", bytes.NewReader(raw)),
			sessionMembers()...)
		if err != nil {
			refusedWell(t, err)
			return
		}
		wish := o.session()
		if err := o.err(); err != nil {
			refusedWell(t, err)
			return
		}
		if !json.Valid(raw) {
			t.Fatal("taken, and not JSON")
		}
		for _, id := range append([]string{wish.Organizer}, wish.Attendees...) {
			if !validID(id) {
				t.Errorf("the id %q is taken", id)
			}
		}
		if !wish.EndsAt.After(wish.StartsAt) || wish.TimeZone == "" {
			t.Errorf("taken: %+v", wish)
		}
	})
}

// refusedWell fails the test unless err is a problem that can be shown.
func refusedWell(t *testing.T, err error) {
	t.Helper()
	p, ok := asProblem(err)
	if !ok {
		t.Fatalf("not a problem: %v", err)
	}
	if status, _ := p.kind.answer(); status < 400 || status > 499 || p.detail == "" || len(p.detail) > 2000 || !utf8.ValidString(p.field) {
		t.Errorf("refused with %d %q, field %q", status, p.detail, p.field)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"ada@contoso.example": true, "a+b@x.example": true, "": false, "ada": false, "@x": false, "a@": false, "a b@x.example": false,
		" a@x.example": false, "a@x.example ": false, "<a@x.example>": false, "Ada <a@x.example>": false, "a@x.example,b@x.example": false,
	} {
		if validEmail(s) != want {
			t.Errorf("the e-mail address %q is %v", s, !want)
		}
	}
	for s, want := range map[string]bool{
		"Europe/Berlin": true, "UTC": true, "America/Argentina/Buenos_Aires": true, "": false, "Local": false, "Mars/Olympus": false,
		"../UTC": false, "/etc/localtime": false, "posix/UTC": false, "Pacific Standard Time": false,
	} {
		if validZone(s) != want {
			t.Errorf("the time zone %q is %v", s, !want)
		}
	}
	for s, want := range map[string]int{"00:00": 0, "09:30": 570, "23:59": 1439, "24:00": 1440, "": -1, "9:30": -1, "24:01": -1, "12:60": -1, "12-30": -1} {
		if got, ok := clock(s); ok != (want >= 0) || ok && got != want {
			t.Errorf("the wall-clock time %q is %d, %v", s, got, ok)
		}
	}
	for s, want := range map[string]string{
		"AB-1": "ab-1", "contoso.example": "contoso.example", "": "", ".": "", "..": "", "a/b": "", "a b": "", "é": "",
	} {
		if got, _ := canonicalTenant(s); got != want {
			t.Errorf("the tenant id %q becomes %q, want %q", s, got, want)
		}
	}
}
