package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// schedules answers getSchedule: whoever's address begins with "nobody" is not known, everybody else is busy from nine to ten
// on the first day that is asked for.
func schedules(t *testing.T) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Schedules          []string
			StartTime, EndTime struct{ DateTime, TimeZone string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		from, fromErr := time.Parse("2006-01-02T15:04:05.0000000", body.StartTime.DateTime)
		to, toErr := time.Parse("2006-01-02T15:04:05.0000000", body.EndTime.DateTime)
		if len(body.Schedules) > 20 || fromErr != nil || toErr != nil || to.Sub(from) >= 62*24*time.Hour || body.StartTime.TimeZone != "UTC" {
			t.Errorf("%d people from %v to %v", len(body.Schedules), from, to)
		}
		var values []string
		for _, email := range body.Schedules {
			if strings.HasPrefix(email, "nobody") {
				values = append(values, fmt.Sprintf(`{"scheduleId": %q, "availabilityView": "",
					"error": {"message": "Unable to resolve", "responseCode": "ErrorMailRecipientNotFound"}, "scheduleItems": []}`, email))
				continue
			}
			day := from.Format("2006-01-02")
			values = append(values, fmt.Sprintf(`{"scheduleId": %q, "availabilityView": "2", "scheduleItems": [
				{"status": "Busy", "subject": "secret", "start": {"dateTime": "%[2]sT09:30:00.0000000", "timeZone": "UTC"}, "end": {"dateTime": "%[2]sT10:00:00.0000000", "timeZone": "UTC"}},
				{"status": "oof", "start": {"dateTime": "%[2]sT09:00:00.0000000", "timeZone": "UTC"}, "end": {"dateTime": "%[2]sT09:30:00.0000000", "timeZone": "UTC"}},
				{"status": "free", "start": {"dateTime": "%[2]sT12:00:00.0000000", "timeZone": "UTC"}, "end": {"dateTime": "%[2]sT13:00:00.0000000", "timeZone": "UTC"}},
				{"status": "WorkingElsewhere", "start": {"dateTime": "%[2]sT13:00:00.0000000", "timeZone": "UTC"}, "end": {"dateTime": "%[2]sT14:00:00.0000000", "timeZone": "UTC"}}],
				"workingHours": {"daysOfWeek": ["monday", "friday"], "startTime": "08:00:00.0000000", "endTime": "17:30:00.0000000", "timeZone": %[3]s}}`,
				email, day, california))
		}
		answer(http.StatusOK, `{"value": [`+strings.Join(values, ",")+`]}`)(w, r)
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, schedules(t))
	var emails []string
	for i := range 45 {
		emails = append(emails, fmt.Sprintf("p%d@contoso.example", i))
	}
	emails[7] = "nobody@contoso.example"
	from := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	got, err := s.client(t).Schedules(t.Context(), boxA(), emails, from, from.Add(130*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if calls := len(s.seen()); calls != 9 {
		t.Errorf("%d calls", calls)
	}
	for i, one := range got {
		if one.Email != emails[i] {
			t.Fatalf("schedule %d is of %s", i, one.Email)
		}
		if i == 7 {
			if KindOf(one.Err) != KindMailbox || one.Busy != nil || !strings.Contains(one.Err.Error(), ReasonUserNotFound) {
				t.Errorf("nobody: %+v", one)
			}
			continue
		}
		var want []Interval
		for _, day := range []int{0, 60, 120} {
			nine := from.Add(time.Duration(day)*24*time.Hour + 9*time.Hour)
			want = append(want, Interval{nine, nine.Add(time.Hour)})
		}
		if diff := cmp.Diff(want, one.Busy); diff != "" || one.Err != nil {
			t.Fatalf("schedule of %s (%v, -want +got):\n%s", one.Email, one.Err, diff)
		}
		h := one.WorkingHours
		if h == nil || h.Start != 8*time.Hour || h.End != 17*time.Hour+30*time.Minute || h.TimeZone != "Customized Time Zone" ||
			!cmp.Equal(h.Days, []time.Weekday{time.Monday, time.Friday}) {
			t.Fatalf("working hours %+v", h)
		}
		if _, offset := from.In(h.Location).Zone(); offset != -8*3600 {
			t.Errorf("%d s east of UTC", offset)
		}
	}
}

func TestSchedulesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	one := func(code string) string {
		return `{"value": [{"scheduleId": "A@contoso.example", "error": {"message": "x", "responseCode": "` + code + `"}}]}`
	}
	for code, want := range map[string]struct {
		kind   Kind
		reason string
	}{
		"ErrorMailRecipientNotFound":        {KindMailbox, ReasonUserNotFound},
		"ErrorNoFreeBusyAccess":             {KindMailbox, ReasonNoFreeBusyAccess},
		"5006":                              {KindInvalid, ReasonTooManyEntries},
		"ErrorAccessDenied":                 {KindMailbox, ReasonAccessDenied},
		"MailboxNotEnabledForRESTAPI":       {KindMailbox, ReasonMailboxNotEnabled},
		"ErrorMailboxStoreUnavailable":      {KindUnavailable, ReasonMailboxMoving},
		"ErrorTimeoutExpired":               {KindUnavailable, ReasonServerError},
		"ErrorSomethingNobodyHasHeardOfYet": {KindMailbox, ReasonNoFreeBusyAccess},
	} {
		s := newStandIn(t, answer(http.StatusOK, one(code)))
		got, err := s.client(t).Schedules(t.Context(), boxA(), []string{"a@contoso.example"}, summerDay(), summerDay().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		e, ok := errors.AsType[*Error](got[0].Err)
		if !ok || e.Kind != want.kind || e.Reason != want.reason {
			t.Errorf("%s: %v, want %s for %s", code, got[0].Err, want.kind, want.reason)
		}
	}
	s := newStandIn(t, answer(http.StatusOK, `{"value": []}`))
	got, err := s.client(t).Schedules(t.Context(), boxA(), []string{"a@contoso.example"}, summerDay(), summerDay().Add(time.Hour))
	if err != nil || KindOf(got[0].Err) != KindUnavailable {
		t.Errorf("somebody who is left out: %+v, %v", got, err)
	}
	s = newStandIn(t, answer(http.StatusForbidden, `{"error": {"code": "ErrorAccessDenied", "message": "x"}}`))
	if _, err = s.client(t).Schedules(t.Context(), boxA(), []string{"a@contoso.example"}, summerDay(), summerDay().Add(time.Hour)); KindOf(err) != KindMailbox {
		t.Errorf("the mailbox that asks has no access: %v", err)
	}
}

func TestMailboxSettings(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, answer(http.StatusOK, `{"timeZone": "India Standard Time", "workingHours": {"daysOfWeek": ["sunday", "someday"],
		"startTime": "22:00:00", "endTime": "06:00:00", "timeZone": {"name": "Somewhere Standard Time"}}}`))
	got, err := s.client(t).MailboxSettings(t.Context(), boxA())
	if err != nil {
		t.Fatal(err)
	}
	if got.TimeZone != "India Standard Time" || got.Location == nil || got.Location.String() != "Asia/Calcutta" {
		t.Errorf("zone %q is %v", got.TimeZone, got.Location)
	}
	want := &WorkingHours{Days: []time.Weekday{time.Sunday}, Start: 22 * time.Hour, End: 6 * time.Hour, TimeZone: "Somewhere Standard Time"}
	if diff := cmp.Diff(want, got.WorkingHours); diff != "" {
		t.Errorf("working hours (-want +got):\n%s", diff)
	}
	if q := s.seen()[0].RawQuery; !strings.Contains(q, "timeZone") || !strings.Contains(q, "workingHours") {
		t.Errorf("it asks for %q", q)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "" {
			answer(http.StatusOK, `{"value": [{"id": "A1", "mail": "a@x", "userPrincipalName": "ua@x"}, {"id": "B2", "userPrincipalName": "b@x"}],
				"@odata.nextLink": "http://`+r.Host+`/v1.0/users?page=2"}`)(w, r)
			return
		}
		answer(http.StatusOK, `{"value": [{"id": "c3", "mail": "c@x"}, {"id": "d4", "mail": "d@x"}]}`)(w, r)
	})
	got, err := s.client(t).Users(t.Context(), tenantA, 3)
	if diff := cmp.Diff([]DirectoryUser{{"a1", "a@x"}, {"b2", "b@x"}, {"c3", "c@x"}}, got); diff != "" || err != nil {
		t.Errorf("users (%v, -want +got):\n%s", err, diff)
	}
}
