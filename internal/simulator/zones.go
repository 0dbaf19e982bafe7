package simulator

import (
	"fmt"
	"strings"
	"time"
)

// graphTime is Graph's layout of an instant: UTC with seven fraction digits.
const graphTime = "2006-01-02T15:04:05.0000000Z"

// localTime is Graph's layout of a wall time inside a dateTimeTimeZone.
const localTime = "2006-01-02T15:04:05.0000000"

// zone is a time zone under the name that a caller gave it.
type zone struct {
	name string
	loc  *time.Location
}

func utcZone() zone { return zone{name: "UTC", loc: time.UTC} }

// parseZone resolves a Windows or IANA name.
func parseZone(name string) (zone, error) {
	if name == "" || strings.EqualFold(name, "UTC") || name == "tzone://Microsoft/Utc" {
		return utcZone(), nil
	}
	iana, ok := windowsZones()[strings.ToLower(name)]
	if !ok {
		iana = name
	}
	loc, err := time.LoadLocation(iana)
	if err != nil || strings.EqualFold(name, "local") {
		return zone{}, fmt.Errorf("time zone %q is not known", name)
	}
	return zone{name: name, loc: loc}, nil
}

// windowsZones maps the Windows names that a tenant of ours may meet, lower case, to IANA.
// https://learn.microsoft.com/windows-hardware/manufacture/desktop/default-time-zones
func windowsZones() map[string]string {
	return map[string]string{
		"greenwich standard time":         "Atlantic/Reykjavik",
		"gmt standard time":               "Europe/London",
		"w. europe standard time":         "Europe/Berlin",
		"central europe standard time":    "Europe/Budapest",
		"central european standard time":  "Europe/Warsaw",
		"romance standard time":           "Europe/Paris",
		"fle standard time":               "Europe/Kiev",
		"gtb standard time":               "Europe/Bucharest",
		"e. europe standard time":         "Europe/Chisinau",
		"russian standard time":           "Europe/Moscow",
		"turkey standard time":            "Europe/Istanbul",
		"israel standard time":            "Asia/Jerusalem",
		"egypt standard time":             "Africa/Cairo",
		"south africa standard time":      "Africa/Johannesburg",
		"arabian standard time":           "Asia/Dubai",
		"arab standard time":              "Asia/Riyadh",
		"pakistan standard time":          "Asia/Karachi",
		"india standard time":             "Asia/Kolkata",
		"bangladesh standard time":        "Asia/Dhaka",
		"se asia standard time":           "Asia/Bangkok",
		"china standard time":             "Asia/Shanghai",
		"singapore standard time":         "Asia/Singapore",
		"tokyo standard time":             "Asia/Tokyo",
		"korea standard time":             "Asia/Seoul",
		"aus eastern standard time":       "Australia/Sydney",
		"e. australia standard time":      "Australia/Brisbane",
		"new zealand standard time":       "Pacific/Auckland",
		"hawaiian standard time":          "Pacific/Honolulu",
		"alaskan standard time":           "America/Anchorage",
		"pacific standard time":           "America/Los_Angeles",
		"us mountain standard time":       "America/Phoenix",
		"mountain standard time":          "America/Denver",
		"central standard time":           "America/Chicago",
		"central america standard time":   "America/Guatemala",
		"eastern standard time":           "America/New_York",
		"sa pacific standard time":        "America/Bogota",
		"atlantic standard time":          "America/Halifax",
		"newfoundland standard time":      "America/St_Johns",
		"e. south america standard time":  "America/Sao_Paulo",
		"argentina standard time":         "America/Buenos_Aires",
		"central standard time (mexico)":  "America/Mexico_City",
		"pacific sa standard time":        "America/Santiago",
		"w. central africa standard time": "Africa/Lagos",
		"e. africa standard time":         "Africa/Nairobi",
	}
}

// wallTime is Graph's dateTimeTimeZone: a wall time and the name of the zone it is in.
type wallTime struct {
	DateTime string `json:"dateTime"`
	TimeZone string `json:"timeZone"`
}

// in writes an instant as a wall time of a zone.
func in(t time.Time, z zone) wallTime {
	return wallTime{DateTime: t.In(z.loc).Format(localTime), TimeZone: z.name}
}

// instant reads a wall time. A dateTime that carries its own offset wins over the zone, as it does in Graph.
func (w wallTime) instant() (time.Time, zone, error) {
	z, err := parseZone(w.TimeZone)
	if err != nil {
		return time.Time{}, zone{}, err
	}
	if t, err := time.Parse(time.RFC3339Nano, w.DateTime); err == nil {
		return t.UTC(), z, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, w.DateTime, z.loc); err == nil {
			return t.UTC(), z, nil
		}
	}
	return time.Time{}, zone{}, fmt.Errorf("%q is not a date and time", w.DateTime)
}
