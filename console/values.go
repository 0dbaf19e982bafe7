package console

import (
	"net/mail"
	"net/url"
	"strings"
	"time"
	_ "time/tzdata" // Zones are checked by their IANA names, also in an image that has no zone files.
	"unicode"
	"unicode/utf8"
)

// The longest values that are taken, in characters.
const (
	// maxTenant is what fits beside a mailbox's id into a clientState.
	maxTenant = 48
	maxID     = 128
	maxName   = 256
	maxEmail  = 254
	maxURL    = 2048
	maxEvent  = 512
)

func letterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// canonicalTenant checks a tenant id: 1 to 48 letters, digits, dots, dashes and underscores. Entra's ids, GUIDs and domain
// names alike, are the same in whatever case they are written; they are kept in lower case.
func canonicalTenant(id string) (string, bool) {
	if id == "" || len(id) > maxTenant || strings.Trim(id, ".") == "" {
		return "", false
	}
	for _, r := range id {
		if !letterOrDigit(r) && !strings.ContainsRune(".-_", r) {
			return "", false
		}
	}
	return strings.ToLower(id), true
}

// validID checks the platform's own id of a participant or a session: 1 to 128 characters of any script, no control
// characters, not only spaces.
func validID(id string) bool {
	return utf8.ValidString(id) && utf8.RuneCountInString(id) <= maxID &&
		strings.TrimSpace(id) != "" && !strings.ContainsFunc(id, unicode.IsControl)
}

// parseTime reads an RFC 3339 time. The years are bounded because Outlook gives the years 1, 1601 and 4501 meanings of
// their own.
func parseTime(s string) (time.Time, bool) {
	var at time.Time
	// UnmarshalText is stricter than time.Parse, which takes 9:00 for 09:00.
	if err := at.UnmarshalText([]byte(s)); err != nil {
		return time.Time{}, false
	}
	at = at.UTC().Truncate(time.Microsecond)
	return at, at.Year() >= 2000 && at.Year() < 2200
}

// validZone checks an IANA time zone name.
func validZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	// Some systems also keep each zone a second and third time, with and without leap seconds; nobody else knows those.
	if strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/") {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

// validEmail checks a bare e-mail address, without a display name.
func validEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// validCallback checks the form of a callback URL. Where it leads is judged when it is called, since names can be pointed
// elsewhere at any time.
func validCallback(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}

// clock reads a wall-clock time HH:MM into minutes since midnight; 24:00 is the end of the day.
func clock(s string) (minutes int, ok bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	at, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, false
	}
	return at.Hour()*60 + at.Minute(), true
}
