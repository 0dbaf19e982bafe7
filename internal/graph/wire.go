package graph

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// eventSelect is all that is ever read of an event: what a mentoring session needs. No subject, no body, no place.
const eventSelect = "id,iCalUId,changeKey,type,seriesMasterId,originalStart,start,end,lastModifiedDateTime,isCancelled," +
	"onlineMeeting,organizer,attendees"

// The structs below are the answer as it stands on the wire, with nothing in them that isn't read.

type wireEvent struct {
	ID             string         `json:"id"`
	ICalUID        string         `json:"iCalUId"`
	ChangeKey      string         `json:"changeKey"`
	Type           string         `json:"type"`
	SeriesMasterID string         `json:"seriesMasterId"`
	OriginalStart  string         `json:"originalStart"`
	Start          wireDateTime   `json:"start"`
	End            wireDateTime   `json:"end"`
	LastModified   string         `json:"lastModifiedDateTime"`
	Cancelled      bool           `json:"isCancelled"`
	OnlineMeeting  wireMeeting    `json:"onlineMeeting"`
	Organizer      wireRecipient  `json:"organizer"`
	Attendees      []wireAttendee `json:"attendees"`
}

type wireDateTime struct {
	DateTime string `json:"dateTime"`
	TimeZone string `json:"timeZone"`
}

type wireMeeting struct {
	JoinURL string `json:"joinUrl"`
}

type wireRecipient struct {
	EmailAddress wireAddress `json:"emailAddress"`
}

type wireAddress struct {
	Address string `json:"address"`
}

type wireAttendee struct {
	Type         string       `json:"type"`
	EmailAddress wireAddress  `json:"emailAddress"`
	Status       wireResponse `json:"status"`
	Proposed     wireSlot     `json:"proposedNewTime"`
}

type wireResponse struct {
	Response string `json:"response"`
	Time     string `json:"time"`
}

type wireSlot struct {
	Start wireDateTime `json:"start"`
	End   wireDateTime `json:"end"`
}

type wireEvents struct {
	Value    []wireEvent `json:"value"`
	NextLink string      `json:"@odata.nextLink"`
}

// asGraphWrites relaxes what costs time and catches nothing here: Graph is trusted to name each member once.
func asGraphWrites() json.Options {
	return json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func decodeEvent(body []byte) (Event, error) {
	var w wireEvent
	if err := json.Unmarshal(body, &w, asGraphWrites()); err != nil {
		return Event{}, fmt.Errorf("reading an event: %w", err)
	}
	return w.event()
}

// event makes sense of what was read. An event without an id, or whose times can't be understood, is an error: guessing
// would move meetings.
func (w *wireEvent) event() (Event, error) {
	if w.ID == "" {
		return Event{}, fmt.Errorf("reading an event: it has no id")
	}
	e := Event{
		ID: w.ID, ICalUID: w.ICalUID, ChangeKey: w.ChangeKey, Type: w.Type, SeriesMasterID: w.SeriesMasterID,
		Cancelled: w.Cancelled, JoinURL: w.OnlineMeeting.JoinURL, Organizer: w.Organizer.EmailAddress.Address,
	}
	var err error
	if e.Start, err = w.Start.time(); err != nil {
		return Event{}, fmt.Errorf("reading an event's start: %w", err)
	}
	if e.End, err = w.End.time(); err != nil {
		return Event{}, fmt.Errorf("reading an event's end: %w", err)
	}
	if e.LastModified, err = parseTime(w.LastModified); err != nil {
		return Event{}, fmt.Errorf("reading an event's last change: %w", err)
	}
	if e.OriginalStart, err = parseTime(w.OriginalStart); err != nil {
		return Event{}, fmt.Errorf("reading an occurrence's original start: %w", err)
	}
	if len(w.Attendees) > 0 {
		e.Attendees = make([]Attendee, len(w.Attendees))
	}
	for i := range w.Attendees {
		if e.Attendees[i], err = w.Attendees[i].attendee(); err != nil {
			return Event{}, fmt.Errorf("reading an attendee: %w", err)
		}
	}
	return e, nil
}

func (w *wireAttendee) attendee() (Attendee, error) {
	a := Attendee{Email: w.EmailAddress.Address, Type: w.Type, Response: strings.ToLower(w.Status.Response)}
	var err error
	if a.RespondedAt, err = parseTime(w.Status.Time); err != nil {
		return Attendee{}, err
	}
	if a.ProposedStart, err = w.Proposed.Start.time(); err != nil {
		return Attendee{}, err
	}
	if a.ProposedEnd, err = w.Proposed.End.time(); err != nil {
		return Attendee{}, err
	}
	return a, nil
}

// time reads a dateTimeTimeZone. A zone other than UTC is understood when it has an IANA name; a Windows name means that
// Graph did not heed what every call asks for.
func (w wireDateTime) time() (time.Time, error) {
	if inUTC(w.TimeZone) || w.DateTime == "" {
		return parseTime(w.DateTime)
	}
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading a time: its zone is not UTC")
	}
	t, err := parseTime(w.DateTime)
	if err != nil || t.IsZero() || hasOffset(w.DateTime) {
		return t, err
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone).UTC(), nil
}

// hasOffset says whether a date and time carries its own offset, which then counts for more than the zone beside it.
func hasOffset(s string) bool {
	return len(s) > 19 && strings.ContainsAny(s[19:], "Z+-")
}
