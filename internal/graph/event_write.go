package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// Person is somebody to invite.
type Person struct {
	Email string
	// Name may be empty; Outlook then shows the directory's name, or the address.
	Name string
	// Type is required, optional or resource; empty means required.
	Type string
}

// EventDraft is a meeting to book in the organizer's primary calendar: only from there does Outlook tally answers.
type EventDraft struct {
	Subject    string
	Start, End time.Time
	// TimeZone is the IANA name of the zone in which the organizer's Outlook shows the meeting; empty means UTC.
	TimeZone  string
	Attendees []Person
	// Teams asks for a Teams meeting; its link comes in Event.JoinURL.
	Teams bool
	// TransactionID names this booking: Graph books it once, however often it is asked. Required.
	TransactionID string
}

// EventPatch is what to change of an event. Bodies are never touched: Teams keeps its part of the meeting there.
type EventPatch struct {
	// Subject is left as it is when empty.
	Subject string
	// Start and End are changed together, or left as they are when zero.
	Start, End time.Time
	// TimeZone is as in EventDraft.
	TimeZone string
	// Attendees replaces the whole list, and is left as it is when nil. Who stays on it is told nothing and keeps their answer.
	Attendees []Person
}

// CreateEvent books a meeting and invites its attendees. Called again with the same TransactionID it gives the event that was
// booked then, as it is by now, and books nothing, whatever else the draft says: the caller compares.
func (c *Client) CreateEvent(ctx context.Context, mb Mailbox, draft EventDraft) (Event, error) {
	event, err := c.createEvent(ctx, mb, draft)
	if zoneRefused(err, draft.TimeZone) {
		draft.TimeZone = ""
		event, err = c.createEvent(ctx, mb, draft)
	}
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Reason != ReasonBookedAlready {
		return event, err
	}
	// Same transaction, other content: what was booked before a crash, with what was asked for then.
	if failure.existing == "" {
		return c.EventByTransaction(ctx, mb, draft.TransactionID)
	}
	return c.Event(ctx, mb, failure.existing)
}

func (c *Client) createEvent(ctx context.Context, mb Mailbox, draft EventDraft) (Event, error) {
	var event Event
	err := c.do(ctx, call{
		op: opCreateEvent, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			body := models.NewEvent()
			body.SetSubject(&draft.Subject)
			body.SetStart(c.dateTime(draft.Start, draft.TimeZone))
			body.SetEnd(c.dateTime(draft.End, draft.TimeZone))
			body.SetAttendees(invited(draft.Attendees))
			body.SetTransactionId(&draft.TransactionID)
			if draft.Teams {
				online, provider := true, models.TEAMSFORBUSINESS_ONLINEMEETINGPROVIDERTYPE
				body.SetIsOnlineMeeting(&online)
				body.SetOnlineMeetingProvider(&provider)
			}
			builder := users.NewItemEventsRequestBuilderInternal(c.path("user%2Did", mb.User), c.adapter)
			info, err := builder.ToPostRequestInformation(ctx, body, nil)
			return c.native(ctx, info, err)
		},
		read: func(answer []byte) error {
			var err error
			event, err = decodeEvent(answer)
			return err
		},
	})
	return event, err
}

// UpdateEvent changes an event and has Outlook tell the attendees. changeKey is that of the reading that the change was
// decided on: KindPrecondition says that the event has changed since, and then nothing was done.
func (c *Client) UpdateEvent(ctx context.Context, mb Mailbox, id, changeKey string, patch EventPatch) (Event, error) {
	event, err := c.updateEvent(ctx, mb, id, changeKey, patch)
	if zoneRefused(err, patch.TimeZone) {
		patch.TimeZone = ""
		event, err = c.updateEvent(ctx, mb, id, changeKey, patch)
	}
	return event, err
}

func (c *Client) updateEvent(ctx context.Context, mb Mailbox, id, changeKey string, patch EventPatch) (Event, error) {
	var event Event
	err := c.do(ctx, call{
		op: opUpdateEvent, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			body := models.NewEvent()
			if patch.Subject != "" {
				body.SetSubject(&patch.Subject)
			}
			if !patch.Start.IsZero() {
				body.SetStart(c.dateTime(patch.Start, patch.TimeZone))
				body.SetEnd(c.dateTime(patch.End, patch.TimeZone))
			}
			if patch.Attendees != nil {
				body.SetAttendees(invited(patch.Attendees))
			}
			headers := abstractions.NewRequestHeaders()
			headers.Add("If-Match", `W/"`+changeKey+`"`)
			info, err := c.event(mb, id).ToPatchRequestInformation(ctx, body,
				&users.ItemEventsEventItemRequestBuilderPatchRequestConfiguration{Headers: headers})
			return c.native(ctx, info, err)
		},
		read: func(answer []byte) error {
			var err error
			event, err = decodeEvent(answer)
			return err
		},
	})
	return event, err
}

// CancelEvent calls a meeting off and has Outlook tell the attendees, with the comment. KindNotFound means that it is gone
// already. Of a meeting without attendees nobody can be told; Outlook has DeleteEvent for those.
func (c *Client) CancelEvent(ctx context.Context, mb Mailbox, id, comment string) error {
	return c.do(ctx, call{
		op: opCancelEvent, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			body := users.NewItemEventsItemCancelPostRequestBody()
			body.SetComment(&comment)
			builder := users.NewItemEventsItemCancelRequestBuilderInternal(c.path("user%2Did", mb.User, "event%2Did", id), c.adapter)
			info, err := builder.ToPostRequestInformation(ctx, body, nil)
			return c.native(ctx, info, err)
		},
	})
}

// DeleteEvent removes an event. Attendees, if there are any, get a cancellation without a word. KindNotFound means that it is
// gone already.
func (c *Client) DeleteEvent(ctx context.Context, mb Mailbox, id string) error {
	return c.do(ctx, call{
		op: opDeleteEvent, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			info, err := c.event(mb, id).ToDeleteRequestInformation(ctx, nil)
			return c.native(ctx, info, err)
		},
	})
}

// recentPages is how many pages of recent events are searched for a transaction.
const recentPages = 4

// EventByTransaction finds the event that CreateEvent has booked under a TransactionID; KindNotFound when there is none. Graph
// can't filter by it, so the ids and transactions of the newest events are read, and nothing else of them. It is for the
// rare time after a crash when an event may exist whose id nobody knows.
func (c *Client) EventByTransaction(ctx context.Context, mb Mailbox, transaction string) (Event, error) {
	top, order := pageSize, []string{"createdDateTime desc"}
	build := func(ctx context.Context) (*http.Request, error) {
		builder := users.NewItemEventsRequestBuilderInternal(c.path("user%2Did", mb.User), c.adapter)
		info, err := builder.ToGetRequestInformation(ctx, &users.ItemEventsRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.ItemEventsRequestBuilderGetQueryParameters{
				Top: &top, Orderby: order, Select: []string{"id", "transactionId"},
			},
		})
		return c.native(ctx, info, err)
	}
	for range recentPages {
		var page struct {
			Value []struct {
				ID          string `json:"id"`
				Transaction string `json:"transactionId"`
			} `json:"value"`
			NextLink string `json:"@odata.nextLink"`
		}
		err := c.do(ctx, call{
			op: opFindEvent, tenant: mb.Tenant, lane: mailboxLane(mb), build: build,
			read: func(body []byte) error {
				if err := json.Unmarshal(body, &page, asGraphWrites()); err != nil {
					return fmt.Errorf("reading a list of events: %w", err)
				}
				return nil
			},
		})
		if err != nil {
			return Event{}, err
		}
		for _, found := range page.Value {
			if strings.EqualFold(found.Transaction, transaction) {
				return c.Event(ctx, mb, found.ID)
			}
		}
		if page.NextLink == "" {
			break
		}
		build = func(ctx context.Context) (*http.Request, error) { return c.followRequest(ctx, page.NextLink) }
	}
	return Event{}, &Error{Kind: KindNotFound, Reason: ReasonNotFound, Status: http.StatusOK, Operation: string(opFindEvent)}
}

func (c *Client) event(mb Mailbox, id string) *users.ItemEventsEventItemRequestBuilder {
	return users.NewItemEventsEventItemRequestBuilderInternal(c.path("user%2Did", mb.User, "event%2Did", id), c.adapter)
}

func (c *Client) dateTime(t time.Time, zone string) models.DateTimeTimeZoneable {
	written := c.zones().wall(t, zone)
	made := models.NewDateTimeTimeZone()
	made.SetDateTime(&written.DateTime)
	made.SetTimeZone(&written.TimeZone)
	return made
}

func invited(people []Person) []models.Attendeeable {
	list := make([]models.Attendeeable, 0, len(people))
	for _, p := range people {
		kind := models.REQUIRED_ATTENDEETYPE
		switch p.Type {
		case "optional":
			kind = models.OPTIONAL_ATTENDEETYPE
		case "resource":
			kind = models.RESOURCE_ATTENDEETYPE
		}
		address, a := models.NewEmailAddress(), models.NewAttendee()
		address.SetAddress(&p.Email)
		if p.Name != "" {
			address.SetName(&p.Name)
		}
		a.SetEmailAddress(address)
		a.SetTypeEscaped(&kind)
		list = append(list, a)
	}
	return list
}

// zoneRefused says that Graph may not know the time zone, so that the same is worth asking in UTC: which zones it knows depends
// on the mailbox's server, and its word for it varies.
func zoneRefused(err error, zone string) bool {
	failure, ok := errors.AsType[*Error](err)
	return ok && zone != "" && failure.Kind == KindInvalid && failure.Status == http.StatusBadRequest
}
