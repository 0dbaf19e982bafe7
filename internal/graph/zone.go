package graph

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"
)

// windowsZones maps Windows' names of time zones to IANA's: a line for each, with the Windows name, the IANA name that stands
// for it, and the other IANA names that fall under it. It is the table of github.com/thlib/go-timezone-local, which is made
// from Unicode's CLDR but compiles into programs for Windows only, and IANA's newer names of the same zones.
//
//go:embed windows_zones.txt
var windowsZones string

// zones knows the time zones that Graph speaks of.
type zones struct {
	// iana is by Windows name in lower case, windows by IANA name.
	iana, windows map[string]string
}

// readZones parses the table when it is first needed: most processes never write or read a zone.
func readZones() func() zones {
	return sync.OnceValue(func() zones {
		z := zones{iana: make(map[string]string, 256), windows: make(map[string]string, 1024)}
		for line := range strings.Lines(windowsZones) {
			fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
			name := fields[0]
			z.iana[strings.ToLower(name)] = fields[1]
			z.windows[fields[1]] = name
			if len(fields) > 2 {
				for alias := range strings.FieldsSeq(fields[2]) {
					z.windows[alias] = name
				}
			}
		}
		return z
	})
}

// location is the time zone of a name that Graph uses: Windows', IANA's, or one of those for UTC.
func (z zones) location(name string) (*time.Location, error) {
	if inUTC(name) {
		return time.UTC, nil
	}
	if iana, ok := z.iana[strings.ToLower(name)]; ok {
		name = iana
	}
	if strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("time zone %q is not known", truncated(name))
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known", truncated(name))
	}
	return loc, nil
}

// wall writes an instant for Graph: as the time that clocks of the zone show, under the zone's Windows name. The organizer's
// Outlook then shows the meeting in that zone. Windows' names are the ones that every mailbox server knows; of IANA's, Graph
// takes some (https://learn.microsoft.com/graph/api/resources/datetimetimezone). A zone that Windows has no name for, or
// whose clocks differ from those of the Windows zone at that time, is written in UTC: a meeting shown in another zone is
// better than one at another time.
func (z zones) wall(t time.Time, iana string) wireDateTime {
	const layout = "2006-01-02T15:04:05.0000000"
	utc := wireDateTime{DateTime: t.UTC().Format(layout), TimeZone: utcName}
	name, ok := z.windows[iana]
	if !ok || name == utcName {
		return utc
	}
	zone, err := time.LoadLocation(iana)
	if err != nil {
		return utc
	}
	standsFor, err := z.location(name)
	if err != nil {
		return utc
	}
	local := t.In(zone)
	_, offset := local.Zone()
	if _, theirs := t.In(standsFor).Zone(); theirs != offset {
		return utc
	}
	for _, near := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		_, other := t.Add(near).In(zone).Zone()
		twin := t.Add(time.Duration(offset-other) * time.Second).In(zone)
		if other != offset && twin.Format(layout) == local.Format(layout) {
			return utc // Clocks show this hour twice, and nobody says which of the two a wall time means.
		}
	}
	return wireDateTime{DateTime: local.Format(layout), TimeZone: name}
}

const utcName = "UTC"
