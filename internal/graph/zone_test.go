package graph

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWallTimes(t *testing.T) {
	t.Parallel()
	z := readZones()()
	summer, winter := time.Date(2027, 7, 1, 9, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		at             time.Time
		zone           string
		want, wantZone string
	}{
		"summer":             {summer, "Europe/Berlin", "2027-07-01T11:00:00.0000000", "W. Europe Standard Time"},
		"winter":             {winter, "Europe/Berlin", "2027-01-01T10:00:00.0000000", "W. Europe Standard Time"},
		"another name of it": {summer, "Europe/Vienna", "2027-07-01T11:00:00.0000000", "W. Europe Standard Time"},
		"a newer name":       {summer, "Asia/Kolkata", "2027-07-01T14:30:00.0000000", "India Standard Time"},
		"west":               {summer, "America/Los_Angeles", "2027-07-01T02:00:00.0000000", "Pacific Standard Time"},
		"UTC":                {summer, "UTC", "2027-07-01T09:00:00.0000000", "UTC"},
		"no zone":            {summer, "", "2027-07-01T09:00:00.0000000", "UTC"},
		"nobody's zone":      {summer, "Mars/Olympus", "2027-07-01T09:00:00.0000000", "UTC"},
		"one that Windows does not have": {
			summer, "Antarctica/Troll", "2027-07-01T09:00:00.0000000", "UTC",
		},
		// Both fall under Windows' Romance zone, whose clocks went by Paris; in 1975 those of Ceuta did not.
		"clocks that differ": {time.Date(1975, 7, 1, 9, 0, 0, 0, time.UTC), "Africa/Ceuta", "1975-07-01T09:00:00.0000000", "UTC"},
		// Clocks in Berlin show 02:30 twice that night.
		"the second of two": {time.Date(2027, 10, 31, 1, 30, 0, 0, time.UTC), "Europe/Berlin", "2027-10-31T01:30:00.0000000", "UTC"},
		"the first of two":  {time.Date(2027, 10, 31, 0, 30, 0, 0, time.UTC), "Europe/Berlin", "2027-10-31T00:30:00.0000000", "UTC"},
		"an hour later": {
			time.Date(2027, 10, 31, 2, 30, 0, 0, time.UTC), "Europe/Berlin", "2027-10-31T03:30:00.0000000", "W. Europe Standard Time",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := z.wall(tt.at, tt.zone); got.DateTime != tt.want || got.TimeZone != tt.wantZone {
				t.Errorf("%+v, want %s in %s", got, tt.want, tt.wantZone)
			}
		})
	}
}

// TestEveryZoneKeepsTheInstant writes times all over a year in every zone of the table and reads them as Graph would.
func TestEveryZoneKeepsTheInstant(t *testing.T) {
	t.Parallel()
	z := readZones()()
	for iana := range z.windows {
		for at := time.Date(2027, 1, 1, 0, 30, 0, 0, time.UTC); at.Year() == 2027; at = at.Add(9*24*time.Hour + 5*time.Hour) {
			w := z.wall(at, iana)
			loc, err := z.location(w.TimeZone)
			if err != nil {
				t.Fatalf("%s is written as %q, which is not known: %v", iana, w.TimeZone, err)
			}
			back, err := time.ParseInLocation("2006-01-02T15:04:05.0000000", w.DateTime, loc)
			if err != nil || !back.Equal(at) {
				t.Fatalf("%v in %s is written as %+v, which is %v (%v)", at, iana, w, back, err)
			}
		}
	}
}

// TestTheTableIsTheLibrarys compares ours with the library's source, which compiles for Windows only.
func TestTheTableIsTheLibrarys(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/thlib/go-timezone-local").Output()
	if err != nil {
		t.Skipf("the library is not at hand: %v", err)
	}
	path := filepath.Join(strings.TrimSpace(string(dir)), "tzlocal", "tzmapping.go")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the library is not at hand: %v", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	z, seen := readZones()(), 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
			pair := element.(*ast.KeyValueExpr)
			key, value := literal(t, pair.Key), literal(t, pair.Value)
			seen++
			if spec.Names[0].Name == "WinTZtoIANA" && z.iana[strings.ToLower(key)] != value {
				t.Errorf("%s is %s, in the library %s", key, z.iana[strings.ToLower(key)], value)
			}
			if spec.Names[0].Name == "IANAtoWinTZ" && z.windows[key] != value {
				t.Errorf("%s is %s, in the library %s", key, z.windows[key], value)
			}
		}
		return true
	})
	if seen < 500 {
		t.Errorf("only %d entries in the library", seen)
	}
}

func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestZonesThatGraphNames(t *testing.T) {
	t.Parallel()
	z := readZones()()
	for name, want := range map[string]string{
		"W. Europe Standard Time": "Europe/Berlin", "w. europe standard time": "Europe/Berlin", "Europe/Rome": "Europe/Rome",
		"UTC": "UTC", "tzone://Microsoft/Utc": "UTC", "Coordinated Universal Time": "UTC",
	} {
		if loc, err := z.location(name); err != nil || loc.String() != want {
			t.Errorf("%s is %v (%v), want %s", name, loc, err, want)
		}
	}
	for _, name := range []string{"Customized Time Zone", "Local", "../etc/passwd"} {
		if loc, err := z.location(name); err == nil {
			t.Errorf("%s is %v", name, loc)
		}
	}
}

// california is the customTimeZone of Microsoft's samples, with that of the same zone in Europe beside it.
const california = `{"@odata.type": "#microsoft.graph.customTimeZone", "bias": 480, "name": "Customized Time Zone",
	"standardOffset": {"time": "02:00:00.0000000", "dayOccurrence": 1, "dayOfWeek": "sunday", "month": 11, "year": 0},
	"daylightOffset": {"daylightBias": -60, "time": "02:00:00.0000000", "dayOccurrence": 2, "dayOfWeek": "sunday", "month": 3, "year": 0}}`

const berlin = `{"bias": -60, "name": "Customized Time Zone",
	"standardOffset": {"time": "03:00:00.0000000", "dayOccurrence": 5, "dayOfWeek": "Sunday", "month": 10, "year": 0},
	"daylightOffset": {"daylightBias": -60, "time": "02:00:00.0000000", "dayOccurrence": 5, "dayOfWeek": "Sunday", "month": 3, "year": 0}}`

func TestCustomZones(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{"America/Los_Angeles": california, "Europe/Berlin": berlin} {
		var w wireZone
		if err := json.Unmarshal([]byte(rules), &w); err != nil {
			t.Fatal(err)
		}
		custom, err := w.location(readZones()())
		if err != nil {
			t.Fatal(err)
		}
		real, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC); at.Year() < 2029; at = at.Add(time.Hour) {
			_, got := at.In(custom).Zone()
			if _, want := at.In(real).Zone(); got != want {
				t.Fatalf("%s at %v: %d s east of UTC, want %d", name, at, got, want)
			}
		}
	}
}

func TestCustomZonesWithoutSummer(t *testing.T) {
	t.Parallel()
	minutes := func(m int) *int { return &m }
	turn := &wireTurn{Time: "02:00:00", DayOccurrence: 1, DayOfWeek: "sunday", Month: 3}
	for name, tt := range map[string]struct {
		zone wireZone
		east int
	}{
		"no rules":       {wireZone{Bias: minutes(-330)}, 330 * 60},
		"no month":       {wireZone{Bias: minutes(180), Standard: &wireTurn{}, Daylight: &wireDaylight{}}, -180 * 60},
		"no change":      {wireZone{Bias: minutes(0), Standard: turn, Daylight: &wireDaylight{wireTurn: *turn}}, 0},
		"a name with it": {wireZone{Name: "Europe/Berlin", Bias: minutes(-345)}, 345 * 60},
		"a name alone":   {wireZone{Name: "India Standard Time"}, 330 * 60},
	} {
		loc, err := tt.zone.location(readZones()())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, got := time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC).In(loc).Zone(); got != tt.east {
			t.Errorf("%s: %d s east of UTC, want %d", name, got, tt.east)
		}
	}
	bad := *turn
	bad.DayOfWeek = "someday"
	late := *turn
	late.Time = "noon"
	for name, zone := range map[string]wireZone{
		"nothing": {}, "a bias of days": {Bias: minutes(5000)},
		"an odd day":  {Bias: minutes(0), Standard: &bad, Daylight: &wireDaylight{wireTurn: *turn, Bias: -60}},
		"an odd time": {Bias: minutes(0), Standard: turn, Daylight: &wireDaylight{wireTurn: late, Bias: -60}},
	} {
		if loc, err := zone.location(readZones()()); err == nil {
			t.Errorf("%s is %v", name, loc)
		}
	}
}
