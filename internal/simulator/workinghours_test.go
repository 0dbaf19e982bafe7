package simulator

import (
	"net/http"
	"testing"
	"time"
)

// busy asks for people's busy times of an hour.
func (o *office) busy(t *testing.T, people ...string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for _, v := range o.graph(t, 200, http.MethodPost, "/users/"+email("Ada")+"/calendar/getSchedule", map[string]any{
		"schedules": people, "startTime": wallTime{monday().Format(localTime), "UTC"},
		"endTime": wallTime{monday().Add(time.Hour).Format(localTime), "UTC"}, "availabilityViewInterval": 30,
	})["value"].([]any) {
		list = append(list, v.(map[string]any))
	}
	return list
}

func TestWorkingHoursByName(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	o.control(t, 204, http.MethodPut, "/users/"+email("Grace")+"/working-hours", WorkingHours{
		Days: []string{"tuesday"}, Start: "09:30", End: "12:00", TimeZone: "W. Europe Standard Time",
	}, nil)
	settings := o.graph(t, 200, http.MethodGet, "/users/"+email("Grace")+"/mailboxSettings?$select=workingHours", nil)
	if _, there := settings["dateFormat"]; there {
		t.Errorf("more than was asked for: %v", settings)
	}
	for name, got := range map[string]map[string]any{
		"settings": settings, "free/busy": o.busy(t, email("Grace"))[0],
		"part": {"workingHours": o.graph(t, 200, http.MethodGet, "/users/"+email("Grace")+"/mailboxSettings/workingHours", nil)},
	} {
		if text(t, got, "workingHours", "startTime") != "09:30:00.0000000" || text(t, got, "workingHours", "timeZone", "name") != "W. Europe Standard Time" {
			t.Errorf("%s: %v", name, got["workingHours"])
		}
	}
	if got := o.graph(t, 400, http.MethodGet, "/users/"+email("Grace")+"/mailboxSettings?$select=hours", nil); code(got) != "RequestBroker--ParseUri" {
		t.Errorf("code %s", code(got))
	}
}

func TestWorkingHoursInACustomZoneHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	pacific := WorkingHours{Days: []string{"monday"}, Start: "08:00", End: "17:00", CustomZone: &CustomZone{
		Bias:     480,
		Standard: &ZoneShift{Time: "02:00", Month: 11, Occurrence: 1, Weekday: "sunday"},
		Daylight: &ZoneShift{Time: "02:00", Month: 3, Occurrence: 2, Weekday: "sunday", Bias: -60},
	}}
	if err := o.SetWorkingHours(email("Grace"), pacific); err != nil {
		t.Fatal(err)
	}
	part := o.graph(t, 200, http.MethodGet, "/users/"+email("Grace")+"/mailboxSettings/workingHours", nil)
	ours := map[string]map[string]bool{}
	shapeOf(part, "", ours)
	sameShape(t, ours, published(t, "workinghours-customtz"), nil)
	zone, _ := field(t, o.busy(t, email("Grace"))[0], "workingHours", "timeZone").(map[string]any)
	if zone["bias"] != 480.0 || field(t, zone, "daylightOffset", "daylightBias") != -60.0 || field(t, zone, "standardOffset", "month") != 11.0 {
		t.Errorf("zone %v", zone)
	}
	pacific.CustomZone = &CustomZone{Bias: -330}
	if err := o.SetWorkingHours(email("Grace"), pacific); err != nil {
		t.Fatal(err)
	}
	zone, _ = field(t, o.busy(t, email("Grace"))[0], "workingHours", "timeZone").(map[string]any)
	if zone["bias"] != -330.0 || field(t, zone, "daylightOffset", "month") != 0.0 {
		t.Errorf("zone without summer time %v", zone)
	}
}

func TestWorkingHoursThatAreNone(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	right := ZoneShift{Time: "02:00", Month: 3, Occurrence: 5, Weekday: "sunday"}
	for name, h := range map[string]WorkingHours{
		"no weekday":  {Days: []string{"Monday"}, Start: "09:00", End: "17:00"},
		"no start":    {End: "17:00"},
		"late":        {Start: "09:00", End: "25:00"},
		"no zone":     {Start: "09:00", End: "17:00", TimeZone: "Moon"},
		"half a year": {Start: "09:00", End: "17:00", CustomZone: &CustomZone{Daylight: &right}},
		"month 13":    {Start: "09:00", End: "17:00", CustomZone: &CustomZone{Daylight: &right, Standard: &ZoneShift{Time: "02:00", Month: 13, Occurrence: 1, Weekday: "sunday"}}},
		"no time":     {Start: "09:00", End: "17:00", CustomZone: &CustomZone{Daylight: &right, Standard: &ZoneShift{Month: 1, Occurrence: 1, Weekday: "sunday"}}},
	} {
		if err := o.SetWorkingHours(email("Ada"), h); err == nil {
			t.Errorf("%s went through", name)
		}
	}
	if err := o.SetWorkingHours("nobody", WorkingHours{Start: "09:00", End: "17:00"}); err == nil {
		t.Error("nobody has working hours")
	}
}

func TestStatusInCapitals(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Behaviour: Behaviour{CapitalStatus: true}})
	// Microsoft's description has only the small letters, its samples have both.
	plain := &http.Transport{}
	t.Cleanup(plain.CloseIdleConnections)
	o.client = &http.Client{Transport: plain}
	o.pair(t)
	items := o.busy(t, email("Ada"))[0]["scheduleItems"].([]any)
	if got := text(t, items[0].(map[string]any), "status"); got != "Busy" {
		t.Errorf("status %q", got)
	}
}
