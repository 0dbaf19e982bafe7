package graph

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// maxPages ends a list that never ends: 1,000 pages of 50 instances are more than any series has.
const maxPages = 1000

// pageSize is asked of Graph, whose own choice is 10.
const pageSize int32 = 50

// Event reads one event.
func (c *Client) Event(ctx context.Context, mb Mailbox, id string) (Event, error) {
	var event Event
	err := c.do(ctx, call{
		op: opEvent, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) { return c.eventRequest(ctx, mb, id), nil },
		read: func(body []byte) error {
			var err error
			event, err = decodeEvent(body)
			return err
		},
	})
	return event, err
}

// EventByICalUID finds the event that has this iCalUId in the mailbox, whatever its id is by now; KindNotFound when none
// has. Of several, one that is not cancelled goes first.
func (c *Client) EventByICalUID(ctx context.Context, mb Mailbox, uid string) (Event, error) {
	var found []Event
	filter := "iCalUId eq '" + strings.ReplaceAll(uid, "'", "''") + "'"
	err := c.do(ctx, call{
		op: opFindEvent, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			builder := users.NewItemEventsRequestBuilderInternal(c.path("user%2Did", mb.User), c.adapter)
			info, err := builder.ToGetRequestInformation(ctx, &users.ItemEventsRequestBuilderGetRequestConfiguration{
				QueryParameters: &users.ItemEventsRequestBuilderGetQueryParameters{
					Filter: &filter, Select: strings.Split(eventSelect, ","),
				},
			})
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			var err error
			found, _, err = decodeEvents(body)
			return err
		},
	})
	if err != nil {
		return Event{}, err
	}
	for _, event := range found {
		if !event.Cancelled {
			return event, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return Event{}, &Error{Kind: KindNotFound, Reason: ReasonNotFound, Status: http.StatusOK, Operation: string(opFindEvent)}
}

// Instances reads the occurrences and exceptions of a series that lie between from and to, all pages. Occurrences that were
// deleted are not among them.
func (c *Client) Instances(ctx context.Context, mb Mailbox, masterID string, from, to time.Time) ([]Event, error) {
	var all []Event
	start, end, top := from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), pageSize
	build := func(ctx context.Context) (*http.Request, error) {
		builder := users.NewItemEventsItemInstancesRequestBuilderInternal(
			c.path("user%2Did", mb.User, "event%2Did", masterID), c.adapter)
		info, err := builder.ToGetRequestInformation(ctx, &users.ItemEventsItemInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.ItemEventsItemInstancesRequestBuilderGetQueryParameters{
				StartDateTime: &start, EndDateTime: &end, Top: &top, Select: strings.Split(eventSelect, ","),
			},
		})
		return c.native(ctx, info, err)
	}
	for range maxPages {
		var next string
		err := c.do(ctx, call{
			op: opInstances, tenant: mb.Tenant, lane: mailboxLane(mb), build: build,
			read: func(body []byte) error {
				events, link, err := decodeEvents(body)
				all, next = append(all, events...), link
				return err
			},
		})
		if err != nil || next == "" {
			return all, err
		}
		build = func(ctx context.Context) (*http.Request, error) { return c.followRequest(ctx, next) }
	}
	return nil, &Error{Kind: KindInvalid, Reason: ReasonUnreadableAnswer, Operation: string(opInstances)}
}

// decodeEvents reads one page of a list and the link to the next, empty on the last.
func decodeEvents(body []byte) (events []Event, next string, err error) {
	var w wireEvents
	if err := json.Unmarshal(body, &w, asGraphWrites()); err != nil {
		return nil, "", fmt.Errorf("reading a list of events: %w", err)
	}
	events = make([]Event, len(w.Value))
	for i := range w.Value {
		if events[i], err = w.Value[i].event(); err != nil {
			return nil, "", err
		}
	}
	return events, w.NextLink, nil
}
