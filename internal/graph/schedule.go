package graph

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// The bounds of getSchedule. https://learn.microsoft.com/graph/outlook-get-free-busy-schedule
const (
	schedulePeople = 20
	// schedulePeriod stays a little below the 62 days that Graph refuses.
	schedulePeriod = 60 * 24 * time.Hour
)

// Interval is a span of time, its end not included. Times are UTC.
type Interval struct{ Start, End time.Time }

// Schedule is when a person is busy. It never holds what with.
type Schedule struct {
	// Email is the address as it was asked for.
	Email string
	// Busy is in order and without overlaps: what is busy, tentative, out of office, or of a kind that we don't know.
	Busy []Interval
	// WorkingHours is nil where Graph gives none.
	WorkingHours *WorkingHours
	// Err is why this person's schedule can't be read, an *Error with a Reason; nil when it was.
	Err error
}

// WorkingHours are the hours in which a person works.
type WorkingHours struct {
	Days []time.Weekday
	// Start and End are what clocks show in Location, as time since midnight. An End that isn't after Start is one of the next
	// day.
	Start, End time.Duration
	// TimeZone is the zone's name as Graph gave it: often a Windows name, and for rules of the person's own any name.
	TimeZone string
	// Location is that zone; nil when nobody knows it.
	Location *time.Location
}

type wireSchedules struct {
	Value []wireSchedule `json:"value"`
}

type wireSchedule struct {
	ID    string `json:"scheduleId"`
	Error *struct {
		ResponseCode string `json:"responseCode"`
	} `json:"error"`
	Items []struct {
		Status string       `json:"status"`
		Start  wireDateTime `json:"start"`
		End    wireDateTime `json:"end"`
	} `json:"scheduleItems"`
	WorkingHours *wireWorkingHours `json:"workingHours"`
}

type wireWorkingHours struct {
	Days     []string `json:"daysOfWeek"`
	Start    string   `json:"startTime"`
	End      string   `json:"endTime"`
	TimeZone wireZone `json:"timeZone"`
}

// Schedules reads when people of the organisation are busy between from and to, in as many calls as Graph's bounds take. mb is
// the mailbox that asks; it only has to be one that works. The schedules stand in the order of emails, each with its own error.
// The error is for all: then nothing is known of anybody.
func (c *Client) Schedules(ctx context.Context, mb Mailbox, emails []string, from, to time.Time) ([]Schedule, error) {
	all := make([]Schedule, len(emails))
	for i, email := range emails {
		all[i].Email = email
	}
	for first := 0; first < len(all); first += schedulePeople {
		group := all[first:min(first+schedulePeople, len(all))]
		for start := from; start.Before(to); start = start.Add(schedulePeriod) {
			if err := c.schedules(ctx, mb, group, start, earlier(start.Add(schedulePeriod), to)); err != nil {
				return nil, err
			}
		}
	}
	for i := range all {
		all[i].Busy = merged(all[i].Busy)
		if all[i].Err != nil {
			all[i].Busy, all[i].WorkingHours = nil, nil
		}
	}
	return all, nil
}

// schedules adds one call's answer to the people it was about.
func (c *Client) schedules(ctx context.Context, mb Mailbox, group []Schedule, from, to time.Time) error {
	return c.do(ctx, call{
		op: opSchedule, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			emails := make([]string, len(group))
			for i, s := range group {
				emails[i] = s.Email
			}
			interval := int32(60) // The digits of the view are not read; the fewer the better.
			body := users.NewItemCalendarGetSchedulePostRequestBody()
			body.SetSchedules(emails)
			body.SetStartTime(c.dateTime(from, ""))
			body.SetEndTime(c.dateTime(to, ""))
			body.SetAvailabilityViewInterval(&interval)
			builder := users.NewItemCalendarGetScheduleRequestBuilderInternal(c.path("user%2Did", mb.User), c.adapter)
			info, err := builder.ToPostRequestInformation(ctx, body, nil)
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			var w wireSchedules
			if err := json.Unmarshal(body, &w, asGraphWrites()); err != nil {
				return fmt.Errorf("reading schedules: %w", err)
			}
			return c.addSchedules(group, w.Value)
		},
	})
}

func (c *Client) addSchedules(group []Schedule, answers []wireSchedule) error {
	for i := range group {
		s := &group[i]
		at := slices.IndexFunc(answers, func(w wireSchedule) bool { return strings.EqualFold(w.ID, s.Email) })
		if at < 0 {
			s.Err = &Error{Kind: KindUnavailable, Reason: ReasonUnreadableAnswer, Operation: string(opSchedule)}
			continue
		}
		w := answers[at]
		if w.Error != nil {
			s.Err = scheduleError(w.Error.ResponseCode)
			continue
		}
		for _, item := range w.Items {
			if free(item.Status) {
				continue
			}
			start, err := item.Start.time()
			if err != nil {
				return fmt.Errorf("reading a schedule: %w", err)
			}
			end, err := item.End.time()
			if err != nil {
				return fmt.Errorf("reading a schedule: %w", err)
			}
			s.Busy = append(s.Busy, Interval{start, end})
		}
		if w.WorkingHours != nil && s.WorkingHours == nil {
			s.WorkingHours = w.WorkingHours.hours(c.zones())
		}
	}
	return nil
}

// free says whether somebody can be met although an entry says that something is on. Casing varies.
func free(status string) bool {
	return strings.EqualFold(status, "free") || strings.EqualFold(status, "workingElsewhere")
}

// scheduleError is why one person's schedule is missing from an answer that is a success.
func scheduleError(code string) *Error {
	e := &Error{Kind: KindMailbox, Reason: ReasonNoFreeBusyAccess, Status: http.StatusOK, Code: code, Operation: string(opSchedule)}
	if v, ok := codeVerdict(opSchedule, code); ok {
		e.Kind, e.Reason = v.kind, v.reason
		return e
	}
	switch strings.ToLower(code) {
	case "errormailrecipientnotfound", "errornameresolutionnoresults", "5009": // Exchange writes some of its words as numbers.
		e.Reason = ReasonUserNotFound
	case "5006":
		e.Kind, e.Reason = KindInvalid, ReasonTooManyEntries
	case "errorservicediscoveryfailed", "errorproxyrequestprocessingfailed", "errortimeoutexpired", "errorinternalservererror", "errorfreebusygenerationfailed":
		e.Kind, e.Reason = KindUnavailable, ReasonServerError
	}
	return e
}

// hours is nil when what Graph gave can't be understood: somebody without working hours can be met at any hour, and their
// own calendar still counts.
func (w *wireWorkingHours) hours(known zones) *WorkingHours {
	h := &WorkingHours{TimeZone: w.TimeZone.Name}
	for _, name := range w.Days {
		if day, ok := weekday(name); ok {
			h.Days = append(h.Days, day)
		}
	}
	var err error
	if h.Start, err = clock(w.Start); err != nil {
		return nil
	}
	if h.End, err = clock(w.End); err != nil {
		return nil
	}
	if loc, err := w.TimeZone.location(known); err == nil {
		h.Location = loc
	}
	return h
}

// merged puts intervals in order and joins those that touch.
func merged(busy []Interval) []Interval {
	slices.SortFunc(busy, func(a, b Interval) int { return a.Start.Compare(b.Start) })
	joined := busy[:0]
	for _, b := range busy {
		if last := len(joined) - 1; last >= 0 && !b.Start.After(joined[last].End) {
			if b.End.After(joined[last].End) {
				joined[last].End = b.End
			}
			continue
		}
		joined = append(joined, b)
	}
	return joined
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
