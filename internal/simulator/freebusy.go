package simulator

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

type scheduleBody struct {
	Schedules                []string  `json:"schedules"`
	StartTime                *wallTime `json:"startTime"`
	EndTime                  *wallTime `json:"endTime"`
	AvailabilityViewInterval *int      `json:"availabilityViewInterval"`
}

// getSchedule answers when people are busy. https://learn.microsoft.com/graph/api/calendar-getschedule
func getSchedule(c *call) (int, any, error) {
	var b scheduleBody
	if err := c.decode(&b, false); err != nil {
		return 0, nil, err
	}
	from, to, step, err := b.check()
	if err != nil {
		return 0, nil, err
	}
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	values := make([]object, 0, len(b.Schedules))
	for _, ref := range b.Schedules {
		values = append(values, c.schedule(ref, from, to, step))
	}
	return http.StatusOK, object{
		{"@odata.context", c.contextURL("Collection(microsoft.graph.scheduleInformation)")}, {"value", values},
	}, nil
}

func (b *scheduleBody) check() (from, to time.Time, step time.Duration, err error) {
	invalid := func(message string) error { return refuse(http.StatusBadRequest, "ErrorInvalidParameter", message) }
	if len(b.Schedules) == 0 || b.StartTime == nil || b.EndTime == nil {
		return from, to, 0, invalid("schedules, startTime and endTime are required.")
	}
	if len(b.Schedules) > 20 {
		return from, to, 0, refuse(http.StatusBadRequest, "ErrorTooManyAttendees", "At most 20 schedules can be asked for at once.")
	}
	if from, _, err = b.StartTime.instant(); err != nil {
		return from, to, 0, invalid("startTime is not valid: " + err.Error() + ".")
	}
	if to, _, err = b.EndTime.instant(); err != nil {
		return from, to, 0, invalid("endTime is not valid: " + err.Error() + ".")
	}
	if !to.After(from) || to.Sub(from) >= 62*24*time.Hour {
		return from, to, 0, refuse(http.StatusBadRequest, "ErrorInvalidTimeInterval", "The requested time duration specified for FreeBusyViewOptions.TimeWindow is invalid.")
	}
	minutes := 30
	set(&minutes, b.AvailabilityViewInterval)
	if minutes < 5 || minutes > 1440 {
		return from, to, 0, invalid("availabilityViewInterval must be between 5 and 1440 minutes.")
	}
	return from, to, time.Duration(minutes) * time.Minute, nil
}

// schedule is one person's part of the answer; of somebody who can't be looked up it says why.
func (c *call) schedule(ref string, from, to time.Time, step time.Duration) object {
	failed := func(code, message string) object {
		return object{{"scheduleId", ref}, {"error", map[string]any{"message": message, "responseCode": code}}}
	}
	box, kind := c.s.world.emails[strings.ToLower(ref)], MailboxDeleted
	if box != nil && box.tenant == c.tenant {
		kind = box.kind
	}
	if code, message := kind.freeBusyRefusal(ref); code != "" {
		return failed(code, message)
	}
	events := box.between(from, to)
	if len(events) > 1000 {
		return failed("5006", "The result set contains too many calendar entries. The allowed size = 1000; the actual size = "+strconv.Itoa(len(events))+".")
	}
	view := make([]byte, 0, 64)
	for at := from; at.Before(to); at = at.Add(step) {
		digit := byte('0')
		for _, it := range events {
			if overlaps(it, at, at.Add(step)) {
				digit = max(digit, busyDigit(it.state.ShowAs))
			}
		}
		view = append(view, digit)
	}
	items := make([]object, 0, len(events))
	for _, it := range events {
		o := object{{"isPrivate", it.state.Sensitivity == "private" || it.state.Sensitivity == "confidential"}, {"status", c.busyWord(it.state.ShowAs)}}
		if it.state.Sensitivity == "normal" || it.state.Sensitivity == "personal" {
			o = append(o, member{"subject", it.state.Subject}, member{"location", it.state.Location})
		}
		items = append(items, append(o, member{"start", in(it.state.Start, c.zone)}, member{"end", in(it.state.End, c.zone)}))
	}
	return object{
		{"scheduleId", ref},
		{"availabilityView", string(view)},
		{"scheduleItems", items},
		{"workingHours", box.working.json(box)},
	}
}

// busyWord is a status as the answer spells it.
func (c *call) busyWord(showAs string) string {
	if c.s.Behaviour().CapitalStatus && showAs != "" {
		return strings.ToUpper(showAs[:1]) + showAs[1:]
	}
	return showAs
}

// busyDigit is how a slot with such an event is written: the busiest wins.
func busyDigit(showAs string) byte {
	switch showAs {
	case "tentative":
		return '1'
	case "busy":
		return '2'
	case "oof":
		return '3'
	default: // Free, and working elsewhere, which counts as free.
		return '0'
	}
}
