package graph

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// wireZone is a timeZoneBase: a name, and for a customTimeZone the rules that the person made up.
// https://learn.microsoft.com/graph/api/resources/customtimezone
type wireZone struct {
	Name     string        `json:"name"`
	Bias     *int          `json:"bias"`
	Standard *wireTurn     `json:"standardOffset"`
	Daylight *wireDaylight `json:"daylightOffset"`
}

// wireTurn is when clocks are turned: a day of each year.
type wireTurn struct {
	Time          string `json:"time"`
	DayOccurrence int    `json:"dayOccurrence"`
	DayOfWeek     string `json:"dayOfWeek"`
	Month         int    `json:"month"`
	Year          int    `json:"year"`
}

type wireDaylight struct {
	wireTurn

	Bias int `json:"daylightBias"`
}

// errNoZone says that nothing tells the zone.
var errNoZone = errors.New("no time zone")

// location is the zone of the name, or the zone that the rules make.
func (w wireZone) location(known zones) (*time.Location, error) {
	if w.Bias == nil {
		if w.Name == "" {
			return nil, errNoZone
		}
		return known.location(w.Name)
	}
	return customZone(w)
}

// customZone makes a location of a person's own rules. Microsoft's page says that zones ahead of UTC have a positive bias, but
// all its samples follow Windows, where UTC is the local time plus the bias: 480 is California's. The rules become a POSIX TZ
// string, whose offsets have that same sign, inside the smallest file that package time reads.
func customZone(w wireZone) (*time.Location, error) {
	const most = 24 * 60
	if *w.Bias <= -most || *w.Bias >= most {
		return nil, fmt.Errorf("a bias of %d minutes is none", *w.Bias)
	}
	rules := "<CUS>" + posixOffset(*w.Bias)
	if w.Standard != nil && w.Daylight != nil && w.Standard.Month != 0 && w.Daylight.Month != 0 && w.Daylight.Bias != 0 {
		toStandard, err := w.Standard.posix()
		if err != nil {
			return nil, err
		}
		toDaylight, err := w.Daylight.posix()
		if err != nil {
			return nil, err
		}
		rules += "<CUD>" + posixOffset(*w.Bias+w.Daylight.Bias) + "," + toDaylight + "," + toStandard
	}
	return time.LoadLocationFromTZData("Custom", tzFile(-*w.Bias*60, rules))
}

// posixOffset writes minutes as POSIX does: what has to be added to the local time.
func posixOffset(minutes int) string {
	sign := ""
	if minutes < 0 {
		sign, minutes = "-", -minutes
	}
	return fmt.Sprintf("%s%d:%02d", sign, minutes/60, minutes%60)
}

// posix writes the turn as a POSIX rule. A rule of one year only is taken for one of each: people's settings are of now.
func (t wireTurn) posix() (string, error) {
	day, ok := weekday(t.DayOfWeek)
	if !ok || t.Month < 1 || t.Month > 12 || t.DayOccurrence < 1 || t.DayOccurrence > 5 {
		return "", errors.New("a custom time zone's rule can't be read")
	}
	at, err := clock(t.Time)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("M%d.%d.%d/%d:%02d", t.Month, t.DayOccurrence, day, int(at.Hours()), int(at.Minutes())%60), nil
}

// weekday reads a day of the week in any case.
func weekday(name string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), strings.TrimSpace(name)) {
			return d, true
		}
	}
	return 0, false
}

// clock reads a time of day like 08:00:00.0000000.
func clock(s string) (time.Duration, error) {
	whole, _, _ := strings.Cut(s, ".")
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, whole); err == nil {
			return t.Sub(t.Truncate(24 * time.Hour)), nil
		}
	}
	return 0, fmt.Errorf("%q is no time of day", truncated(s))
}

// tzFile is a TZif file, version 2, with one type of local time, no transitions and the rules as its footer (RFC 8536).
func tzFile(offset int, rules string) []byte {
	const name = "CUS\x00"
	var b bytes.Buffer
	for range 2 { // The part for old readers and the part that counts, which here are alike.
		b.WriteString("TZif2")
		b.Write(make([]byte, 15))
		for _, count := range []uint32{0, 0, 0, 0, 1, uint32(len(name))} {
			b.Write(binary.BigEndian.AppendUint32(nil, count))
		}
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(int32(offset)))) //nolint:gosec // Within a day, and two's complement is the format.
		b.Write([]byte{0, 0})                                              // No daylight saving; the name at 0.
		b.WriteString(name)
	}
	b.WriteString("\n" + rules + "\n")
	return b.Bytes()
}
