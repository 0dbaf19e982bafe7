package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// eventBody is what a caller may write of an event; nil leaves a property as it is.
type eventBody struct {
	Subject *string `json:"subject"`
	Body    *struct {
		ContentType string `json:"contentType"`
		Content     string `json:"content"`
	} `json:"body"`
	Location *struct {
		DisplayName string `json:"displayName"`
	} `json:"location"`
	Start                      *wallTime     `json:"start"`
	End                        *wallTime     `json:"end"`
	Attendees                  *[]attendeeIn `json:"attendees"`
	IsAllDay                   *bool         `json:"isAllDay"`
	IsOnlineMeeting            *bool         `json:"isOnlineMeeting"`
	OnlineMeetingProvider      *string       `json:"onlineMeetingProvider"`
	TransactionID              *string       `json:"transactionId"`
	Recurrence                 *recurrenceIn `json:"recurrence"`
	ShowAs                     *string       `json:"showAs"`
	Importance                 *string       `json:"importance"`
	Sensitivity                *string       `json:"sensitivity"`
	Categories                 *[]string     `json:"categories"`
	ResponseRequested          *bool         `json:"responseRequested"`
	AllowNewTimeProposals      *bool         `json:"allowNewTimeProposals"`
	HideAttendees              *bool         `json:"hideAttendees"`
	IsReminderOn               *bool         `json:"isReminderOn"`
	ReminderMinutesBeforeStart *int          `json:"reminderMinutesBeforeStart"`
}

type recurrenceIn struct{ recurrence }

type attendeeIn struct {
	EmailAddress address `json:"emailAddress"`
	Type         string  `json:"type"`
}

// knownProperties are those of an event that a body may name; the rest of the published ones are read-only or of no
// consequence here and are let through.
func knownProperties() []string {
	return []string{
		"subject", "body", "location", "locations", "start", "end", "attendees", "isAllDay", "isOnlineMeeting",
		"onlineMeetingProvider", "transactionId", "recurrence", "showAs", "importance", "sensitivity", "categories",
		"responseRequested", "allowNewTimeProposals", "hideAttendees", "isReminderOn", "reminderMinutesBeforeStart",
		"id", "changeKey", "createdDateTime", "lastModifiedDateTime", "originalStartTimeZone", "originalEndTimeZone",
		"originalStart", "iCalUId", "hasAttachments", "bodyPreview", "isCancelled", "isDraft", "isOrganizer",
		"responseStatus", "seriesMasterId", "type", "webLink", "onlineMeetingUrl", "onlineMeeting", "organizer",
		"occurrenceId", "cancelledOccurrences", "uid", "singleValueExtendedProperties", "multiValueExtendedProperties",
	}
}

// eventBody decodes and checks a body; names that an event doesn't have are refused as Graph does.
func (c *call) eventBody() (*eventBody, error) {
	var raw map[string]json.RawMessage
	if err := c.decode(&raw, false); err != nil {
		return nil, err
	}
	known := knownProperties()
	for name := range raw {
		if !strings.Contains(name, "@odata.") && !slices.Contains(known, name) {
			return nil, refuse(http.StatusBadRequest, "RequestBodyRead", fmt.Sprintf(
				"The property '%s' does not exist on type 'microsoft.graph.event'. Make sure to only use property names that are defined by the type.", name))
		}
	}
	b := &eventBody{}
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, b)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "RequestBodyRead", "A property of the event has a value of the wrong type.")
	}
	return b, b.check()
}

func (b *eventBody) check() error {
	oneOf := func(name string, v *string, allowed ...string) error {
		if v != nil && !slices.Contains(allowed, *v) {
			return refuse(http.StatusBadRequest, "RequestBodyRead", fmt.Sprintf("Requested value '%s' of %s was not found.", *v, name))
		}
		return nil
	}
	for _, err := range []error{
		oneOf("showAs", b.ShowAs, "unknown", "free", "tentative", "busy", "oof", "workingElsewhere"),
		oneOf("importance", b.Importance, "low", "normal", "high"),
		oneOf("sensitivity", b.Sensitivity, "normal", "personal", "private", "confidential"),
		oneOf("onlineMeetingProvider", b.OnlineMeetingProvider, "unknown", "skypeForBusiness", "skypeForConsumer", "teamsForBusiness"),
	} {
		if err != nil {
			return err
		}
	}
	if b.Attendees == nil {
		return nil
	}
	if len(*b.Attendees) > 500 {
		return refuse(http.StatusBadRequest, "ErrorInvalidArgument", "An event can have 500 attendees at most.")
	}
	for i, a := range *b.Attendees {
		if a.EmailAddress.Email == "" {
			return refuse(http.StatusBadRequest, "ErrorInvalidRecipients", "At least one recipient is not valid.")
		}
		if err := oneOf("type", &a.Type, "", "required", "optional", "resource"); err != nil {
			return err
		}
		if a.Type == "" {
			(*b.Attendees)[i].Type = "required"
		}
	}
	return nil
}

// times are the start and end that a body asks for, taken from st where it names only one.
func (b *eventBody) times(st *state) (start, end time.Time, startZone, endZone string, err error) {
	start, end, startZone, endZone = st.Start, st.End, st.StartZone, st.EndZone
	invalid := func(name string, err error) error {
		return refuse(http.StatusBadRequest, "ErrorInvalidRequest", "The value of "+name+" is not valid: "+err.Error()+".")
	}
	if b.Start != nil {
		t, z, err := b.Start.instant()
		if err != nil {
			return start, end, "", "", invalid("start", err)
		}
		start, startZone = t, z.name
	}
	if b.End != nil {
		t, z, err := b.End.instant()
		if err != nil {
			return start, end, "", "", invalid("end", err)
		}
		end, endZone = t, z.name
	}
	if start.IsZero() || end.IsZero() {
		return start, end, "", "", refuse(http.StatusBadRequest, "ErrorPropertyValidationFailure", "At least one property failed validation.")
	}
	if end.Before(start) {
		return start, end, "", "", refuse(http.StatusBadRequest, "ErrorCalendarEndDateIsEarlierThanStartDate", "The end date is earlier than the start date.")
	}
	return start, end, startZone, endZone, nil
}

// attendeeList is the list of people that a body asks for.
func (b *eventBody) attendeeList(w *world) []attendee {
	list := []attendee{}
	for _, a := range *b.Attendees {
		if slices.ContainsFunc(list, func(o attendee) bool { return sameAddress(o.Address.Email, a.EmailAddress.Email) }) {
			continue
		}
		if a.EmailAddress.Name == "" {
			a.EmailAddress.Name = a.EmailAddress.Email
			if box, err := w.person(a.EmailAddress.Email); err == nil {
				a.EmailAddress.Name = box.name
			}
		}
		list = append(list, attendee{Address: a.EmailAddress, Type: a.Type, Response: answerNone})
	}
	return list
}

// apply writes all that has no effect beyond the copy itself: not the times, the people and the recurrence.
func (b *eventBody) apply(st *state, box *mailbox) {
	set(&st.Subject, b.Subject)
	if b.Body != nil {
		st.Body, st.BodyType = b.Body.Content, strings.ToLower(b.Body.ContentType)
		if st.BodyType != "html" {
			st.BodyType = "text"
		}
	}
	if b.Location != nil {
		st.Location = b.Location.DisplayName
	}
	set(&st.AllDay, b.IsAllDay)
	set(&st.ShowAs, b.ShowAs)
	set(&st.Importance, b.Importance)
	set(&st.Sensitivity, b.Sensitivity)
	if b.Categories != nil {
		st.Categories = slices.Clone(*b.Categories)
	}
	set(&st.ResponseRequested, b.ResponseRequested)
	set(&st.AllowProposals, b.AllowNewTimeProposals)
	set(&st.HideAttendees, b.HideAttendees)
	set(&st.ReminderOn, b.IsReminderOn)
	set(&st.ReminderMinutes, b.ReminderMinutesBeforeStart)
	if b.IsOnlineMeeting != nil && *b.IsOnlineMeeting {
		st.goOnline(box)
	}
}

// goOnline gives a meeting its Teams link, once.
func (st *state) goOnline(box *mailbox) {
	if st.Online {
		return
	}
	st.Online, st.Provider = true, "teamsForBusiness"
	st.JoinURL = joinURL(box.tenant.id, box.id)
	digits := randomBytes(4)
	st.Conference = strconv.Itoa(100_000_000 + int(digits[0])<<16 + int(digits[1])<<8 + int(digits[2]))
	if st.BodyType == "html" {
		st.Body += "<div class=\"me-email-text\"><a href=\"" + st.JoinURL + "\">Join the meeting now</a></div>"
	} else {
		st.Body += "\r\nJoin the meeting now <" + st.JoinURL + ">"
	}
}

// keepOnline ends the online meeting when a new body has lost the join link, as Outlook does.
// https://learn.microsoft.com/graph/outlook-calendar-online-meetings
func (st *state) keepOnline() {
	if st.Online && !strings.Contains(st.Body, st.JoinURL) {
		st.Online, st.Provider, st.JoinURL, st.Conference = false, "unknown", "", ""
	}
}

func set[T any](dst, v *T) {
	if v != nil {
		*dst = *v
	}
}

// blank is an event before anything was written into it.
func blank() state {
	return state{
		BodyType: "html", StartZone: "UTC", EndZone: "UTC", ShowAs: "busy", Importance: "normal", Sensitivity: "normal",
		Provider: "unknown", ResponseRequested: true, AllowProposals: true, ReminderOn: true, ReminderMinutes: 15,
		Response: answerOrganizer,
	}
}
