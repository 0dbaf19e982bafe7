package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// WorkingHours are a person's, as Outlook keeps them for scheduling.
type WorkingHours struct {
	// Days are names of weekdays, such as monday.
	Days []string `json:"days"`
	// Start and End are wall times, 15:04.
	Start string `json:"start"`
	End   string `json:"end"`
	// TimeZone is a Windows or IANA name; empty takes the mailbox's.
	TimeZone string `json:"time_zone"`
	// CustomZone stands in place of a name when it is given.
	CustomZone *CustomZone `json:"custom_zone,omitempty"`
}

// CustomZone is a time zone by its rules, as old Outlooks wrote it.
// https://learn.microsoft.com/graph/api/resources/customtimezone
type CustomZone struct {
	// Bias are the minutes that are added to a wall time in winter to get UTC: 480 is Pacific time.
	Bias int `json:"bias"`
	// Standard and Daylight say when winter and summer begin; nil means that there is no summer time.
	Standard *ZoneShift `json:"standard,omitempty"`
	Daylight *ZoneShift `json:"daylight,omitempty"`
}

// ZoneShift is when a CustomZone changes its offset.
type ZoneShift struct {
	// Time is the wall time of the change, 15:04.
	Time string `json:"time"`
	// Month is 1 to 12, Occurrence which one of the weekdays in it: 1 to 4, and 5 for the last.
	Month      int    `json:"month"`
	Occurrence int    `json:"occurrence"`
	Weekday    string `json:"weekday"`
	// Bias are the minutes that are added to CustomZone.Bias from then on; only for Daylight.
	Bias int `json:"bias"`
}

// weekdays are the names that Graph gives them.
func weekdays() []string {
	return []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
}

func (h WorkingHours) check() error {
	for _, day := range h.Days {
		if !slices.Contains(weekdays(), day) {
			return fmt.Errorf("%q is not a weekday", day)
		}
	}
	times := []string{h.Start, h.End}
	if z := h.CustomZone; z != nil {
		if (z.Standard == nil) != (z.Daylight == nil) {
			return fmt.Errorf("a zone with summer time has a winter too")
		}
		for _, shift := range []*ZoneShift{z.Standard, z.Daylight} {
			if shift == nil {
				continue
			}
			if shift.Month < 1 || shift.Month > 12 || shift.Occurrence < 1 || shift.Occurrence > 5 || !slices.Contains(weekdays(), shift.Weekday) {
				return fmt.Errorf("a zone changes in a month 1 to 12 on a weekday 1 to 5")
			}
			times = append(times, shift.Time)
		}
	}
	for _, at := range times {
		if _, err := time.Parse("15:04", at); err != nil {
			return fmt.Errorf("%q is not a time such as 09:30", at)
		}
	}
	_, err := parseZone(h.TimeZone)
	return err
}

// SetWorkingHours changes a person's working hours.
func (s *Simulator) SetWorkingHours(person string, h WorkingHours) error {
	if err := h.check(); err != nil {
		return err
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	box, err := s.world.person(person)
	if err != nil {
		return err
	}
	box.working = workingHours{
		DaysOfWeek: slices.Clone(h.Days), StartTime: wallClock(h.Start), EndTime: wallClock(h.End), Zone: h.TimeZone, Custom: h.CustomZone,
	}
	s.saver.dirty()
	s.feed.publish()
	return nil
}

// wallClock is a time as Graph writes it.
func wallClock(at string) string { return at + ":00.0000000" }

// workingHours are a person's, as mailboxSettings and getSchedule show them.
type workingHours struct {
	DaysOfWeek []string `json:"daysOfWeek"`
	StartTime  string   `json:"startTime"`
	EndTime    string   `json:"endTime"`
	// Zone is a name that Graph knows; empty takes the mailbox's.
	Zone   string      `json:"zone"`
	Custom *CustomZone `json:"custom,omitempty"`
}

func defaultWorkingHours() workingHours {
	return workingHours{DaysOfWeek: weekdays()[1:6], StartTime: wallClock("08:00"), EndTime: wallClock("17:00")}
}

func (h workingHours) json(box *mailbox) object {
	zone := object{{"name", h.Zone}}
	switch {
	case h.Custom != nil:
		zone = h.Custom.json()
	case h.Zone == "":
		zone = object{{"name", box.zone}}
	}
	return object{
		{"daysOfWeek", append([]string{}, h.DaysOfWeek...)},
		{"startTime", h.StartTime},
		{"endTime", h.EndTime},
		{"timeZone", zone},
	}
}

func (z *CustomZone) json() object {
	never := &ZoneShift{Time: "00:00", Weekday: "sunday"}
	standard, daylight := never, never
	if z.Standard != nil {
		standard, daylight = z.Standard, z.Daylight
	}
	shift := func(s *ZoneShift) object {
		return object{
			{"time", wallClock(s.Time)}, {"dayOccurrence", s.Occurrence}, {"dayOfWeek", s.Weekday}, {"month", s.Month}, {"year", 0},
		}
	}
	return object{
		{"@odata.type", "#microsoft.graph.customTimeZone"},
		{"bias", z.Bias},
		{"name", "Customized Time Zone"},
		{"standardOffset", shift(standard)},
		{"daylightOffset", append(object{{"daylightBias", daylight.Bias}}, shift(daylight)...)},
	}
}

// settingsFields are a person's settings, in order.
func settingsFields(box *mailbox) object {
	never := wallTime{DateTime: "0001-01-01T00:00:00.0000000", TimeZone: "UTC"}
	return object{
		{"automaticRepliesSetting", map[string]any{
			"status": "disabled", "externalAudience": "all", "scheduledStartDateTime": never, "scheduledEndDateTime": never,
			"internalReplyMessage": "", "externalReplyMessage": "",
		}},
		{"timeZone", box.zone},
		{"language", map[string]any{"locale": "en-US", "displayName": "English (United States)"}},
		{"workingHours", box.working.json(box)},
		{"dateFormat", "MM/dd/yyyy"},
		{"timeFormat", "hh:mm tt"},
		{"delegateMeetingMessageDeliveryOptions", "sendToDelegateOnly"},
	}
}

func (c *call) settingsContext() string {
	return c.contextURL("users('" + url.PathEscape(c.box.id) + "')/mailboxSettings")
}

// getMailboxSettings answers a person's settings. https://learn.microsoft.com/graph/api/user-get-mailboxsettings
func getMailboxSettings(c *call) (int, any, error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	fields := settingsFields(c.box)
	if sel := c.r.URL.Query().Get("$select"); sel != "" {
		var err error
		if fields, err = fields.only(strings.Split(sel, ","), "microsoft.graph.mailboxSettings"); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, append(object{{"@odata.context", c.settingsContext()}}, fields...), nil
}

// getWorkingHours answers the part of the settings that is of use for scheduling.
func getWorkingHours(c *call) (int, any, error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	return http.StatusOK, append(object{{"@odata.context", c.settingsContext() + "/workingHours"}}, c.box.working.json(c.box)...), nil
}

// only are the members that were asked for.
func (o object) only(names []string, typ string) (object, error) {
	var out object
	for _, name := range names {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(o, func(m member) bool { return strings.EqualFold(m.name, name) })
		if i < 0 {
			return nil, noProperty(name, typ)
		}
		out = append(out, o[i])
	}
	return out, nil
}
