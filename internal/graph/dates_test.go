package graph

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	utc := func(y, mo, d, h, mi, s, ns int) time.Time {
		return time.Date(y, time.Month(mo), d, h, mi, s, ns, time.UTC)
	}
	cases := []struct {
		in   string
		want time.Time
		bad  bool
	}{
		{"", time.Time{}, false},
		{"2019-08-16T12:00:00.0000000", utc(2019, 8, 16, 12, 0, 0, 0), false},
		{"2019-08-01T08:21:43.5696529Z", utc(2019, 8, 1, 8, 21, 43, 569652900), false},
		{"2019-08-01T08:21:43Z", utc(2019, 8, 1, 8, 21, 43, 0), false},
		{"2019-08-01T08:21:43.123456789", utc(2019, 8, 1, 8, 21, 43, 123456789), false},
		{"2016-11-20T18:23:45.9356913+00:00", utc(2016, 11, 20, 18, 23, 45, 935691300), false},
		{"2026-03-01T00:30:00+05:30", utc(2026, 2, 28, 19, 0, 0, 0), false},
		{"0001-01-01T00:00:00Z", time.Time{}, false},
		{"0001-01-01T00:00:00.0000000Z", time.Time{}, false},
		{"4501-01-01T00:00:00Z", time.Time{}, false},
		{"9999-12-31T23:59:59.9999999", time.Time{}, false},
		{"2026-02-29T00:00:00Z", time.Time{}, true},
		{"2026-13-01T00:00:00Z", time.Time{}, true},
		{"2026-01-01T24:00:00Z", time.Time{}, true},
		{"2026-01-01", time.Time{}, true},
		{"2026-01-01T00:00:00.Z", time.Time{}, true},
		{"tomorrow", time.Time{}, true},
		{"date-time", time.Time{}, true},
	}
	for _, tc := range cases {
		got, err := parseTime(tc.in)
		if (err != nil) != tc.bad || !got.Equal(tc.want) {
			t.Errorf("%q: %s, %v", tc.in, got, err)
		}
	}
}

// The quick way of reading a time must never differ from the library's.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2019-08-16T12:00:00.0000000Z", "2026-02-29T00:00:00Z", "2026-01-01T00:00:00+05:30", "4501-01-01T00:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quick, ok := quickTime(s)
		if !ok {
			return
		}
		std, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			if std, err = time.Parse("2006-01-02T15:04:05.999999999", s); err != nil {
				t.Fatalf("%q is no time, but was read as %s", s, quick)
			}
		}
		if !quick.Equal(std) {
			t.Fatalf("%q: %s, want %s", s, quick, std)
		}
	})
}

func TestDateTimeTimeZone(t *testing.T) {
	t.Parallel()
	nine := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	cases := []struct {
		in   wireDateTime
		want time.Time
		bad  bool
	}{
		{wireDateTime{"2026-07-01T09:00:00.0000000", "UTC"}, nine, false},
		{wireDateTime{"2026-07-01T09:00:00.0000000", "tzone://Microsoft/Utc"}, nine, false},
		{wireDateTime{"2026-07-01T09:00:00", ""}, nine, false},
		{wireDateTime{"2026-07-01T11:00:00+02:00", "UTC"}, nine, false},
		{wireDateTime{"2026-07-01T11:00:00.0000000", "Europe/Berlin"}, nine, false},
		{wireDateTime{"2026-07-01T09:00:00Z", "Europe/Berlin"}, nine, false},
		{wireDateTime{"2026-07-01T09:00:00", "Pacific Standard Time"}, time.Time{}, true},
		{wireDateTime{"", "Pacific Standard Time"}, time.Time{}, false},
		{wireDateTime{"0001-01-01T00:00:00", "Europe/Berlin"}, time.Time{}, false},
		{wireDateTime{"noon", "UTC"}, time.Time{}, true},
	}
	for _, tc := range cases {
		got, err := tc.in.time()
		if (err != nil) != tc.bad || !got.Equal(tc.want) {
			t.Errorf("%v: %s, %v", tc.in, got, err)
		}
	}
}
