package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/subscriptions"
)

// SubscriptionRequest is a subscription to make.
type SubscriptionRequest struct {
	// MailboxID is the Entra object id of the mailbox's owner. An address would work until it has an apostrophe in it.
	MailboxID       string
	NotificationURL string
	// LifecycleURL can't be added later.
	LifecycleURL string
	// ClientState is at most 128 characters.
	ClientState string
	// ExpiresAt is sent in whole seconds. Graph raises less than 45 minutes to 45 minutes and refuses too much.
	ExpiresAt time.Time
}

// Subscription is a subscription as Graph has it.
// https://learn.microsoft.com/graph/api/resources/subscription
type Subscription struct {
	ID string
	// Resource is a path like users/{id}/events.
	Resource string
	// ClientState is empty where Graph leaves it out, as lists often do.
	ClientState     string
	NotificationURL string
	ExpiresAt       time.Time
}

type wireSubscription struct {
	ID              string `json:"id"`
	Resource        string `json:"resource"`
	ClientState     string `json:"clientState"`
	NotificationURL string `json:"notificationUrl"`
	ExpiresAt       string `json:"expirationDateTime"`
}

func (w wireSubscription) subscription() (Subscription, error) {
	if w.ID == "" {
		return Subscription{}, errors.New("reading a subscription: it has no id")
	}
	at, err := parseTime(w.ExpiresAt)
	if err != nil {
		return Subscription{}, fmt.Errorf("reading a subscription's expiry: %w", err)
	}
	return Subscription{
		ID: w.ID, Resource: w.Resource, ClientState: w.ClientState, NotificationURL: w.NotificationURL, ExpiresAt: at,
	}, nil
}

// granted reads what create and renew answer; an answer without an expiry would leave us guessing how long it lives.
func granted(body []byte) (Subscription, error) {
	var w wireSubscription
	if err := json.Unmarshal(body, &w, asGraphWrites()); err != nil {
		return Subscription{}, fmt.Errorf("reading a subscription: %w", err)
	}
	s, err := w.subscription()
	if err == nil && s.ExpiresAt.IsZero() {
		err = errors.New("reading a subscription: it has no expiry")
	}
	return s, err
}

// CreateSubscription asks Graph to notify us of one mailbox's events: created, updated, deleted. Graph calls both URLs
// before it answers. KindConflict means that there is one already, KindLifetime that ExpiresAt is too far ahead,
// KindHandshake that a URL did not answer as it must.
func (c *Client) CreateSubscription(ctx context.Context, tenant string, req SubscriptionRequest) (Subscription, error) {
	var made Subscription
	ctx = OnBehalfOf(ctx, Mailbox{Tenant: tenant, User: req.MailboxID})
	err := c.do(ctx, call{
		op: opCreateSubscription, tenant: tenant, lane: serviceLane(tenant, serviceSubscriptions),
		build: func(ctx context.Context) (*http.Request, error) {
			changeType, resource, expiresAt := "created,updated,deleted", "users/"+req.MailboxID+"/events", req.ExpiresAt.UTC()
			body := models.NewSubscription()
			body.SetChangeType(&changeType)
			body.SetResource(&resource)
			body.SetNotificationUrl(&req.NotificationURL)
			if req.LifecycleURL != "" {
				body.SetLifecycleNotificationUrl(&req.LifecycleURL)
			}
			body.SetClientState(&req.ClientState)
			body.SetExpirationDateTime(&expiresAt)
			builder := subscriptions.NewSubscriptionsRequestBuilderInternal(c.path(), c.adapter)
			info, err := builder.ToPostRequestInformation(ctx, body, nil)
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			var err error
			made, err = granted(body)
			return err
		},
	})
	return made, err
}

// RenewSubscription moves a subscription's expiry and refreshes its tie to our token. What Graph granted is in the answer,
// and may be less than asked, or nothing new at all. KindNotFound means that the subscription is gone.
func (c *Client) RenewSubscription(ctx context.Context, tenant, id string, expiresAt time.Time) (Subscription, error) {
	var renewed Subscription
	err := c.do(ctx, call{
		op: opRenewSubscription, tenant: tenant, lane: serviceLane(tenant, serviceSubscriptions),
		build: func(ctx context.Context) (*http.Request, error) {
			at := expiresAt.UTC()
			body := models.NewSubscription()
			body.SetExpirationDateTime(&at)
			info, err := c.subscription(id).ToPatchRequestInformation(ctx, body, nil)
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			var err error
			renewed, err = granted(body)
			return err
		},
	})
	return renewed, err
}

// Reauthorize refreshes a subscription's tie to our token and leaves its expiry alone. Microsoft asks to keep it ten
// minutes away from a renewal of the same subscription.
func (c *Client) Reauthorize(ctx context.Context, tenant, id string) error {
	return c.do(ctx, call{
		op: opReauthorizeSubscription, tenant: tenant, lane: serviceLane(tenant, serviceSubscriptions),
		build: func(ctx context.Context) (*http.Request, error) {
			builder := subscriptions.NewItemReauthorizeRequestBuilderInternal(c.path("subscription%2Did", id), c.adapter)
			info, err := builder.ToPostRequestInformation(ctx, nil)
			return c.native(ctx, info, err)
		},
	})
}

// DeleteSubscription ends a subscription; one that is gone already is no error.
func (c *Client) DeleteSubscription(ctx context.Context, tenant, id string) error {
	err := c.do(ctx, call{
		op: opDeleteSubscription, tenant: tenant, lane: serviceLane(tenant, serviceSubscriptions),
		build: func(ctx context.Context) (*http.Request, error) {
			info, err := c.subscription(id).ToDeleteRequestInformation(ctx, nil)
			return c.native(ctx, info, err)
		},
	})
	if KindOf(err) == KindNotFound {
		return nil
	}
	return err
}

// Subscriptions lists every subscription that this application made in the tenant, for whatever mailbox and URL.
func (c *Client) Subscriptions(ctx context.Context, tenant string) ([]Subscription, error) {
	var all []Subscription
	build := func(ctx context.Context) (*http.Request, error) {
		builder := subscriptions.NewSubscriptionsRequestBuilderInternal(c.path(), c.adapter)
		info, err := builder.ToGetRequestInformation(ctx, nil)
		return c.native(ctx, info, err)
	}
	for range maxPages {
		var page struct {
			Value    []wireSubscription `json:"value"`
			NextLink string             `json:"@odata.nextLink"`
		}
		err := c.do(ctx, call{
			op: opListSubscriptions, tenant: tenant, lane: serviceLane(tenant, serviceSubscriptions), build: build,
			read: func(body []byte) error {
				if err := json.Unmarshal(body, &page, asGraphWrites()); err != nil {
					return fmt.Errorf("reading a list of subscriptions: %w", err)
				}
				for _, w := range page.Value {
					s, err := w.subscription()
					if err != nil {
						return err
					}
					all = append(all, s)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
		if page.NextLink == "" {
			return all, nil
		}
		build = func(ctx context.Context) (*http.Request, error) { return c.followRequest(ctx, page.NextLink) }
	}
	return nil, &Error{Kind: KindInvalid, Reason: ReasonUnreadableAnswer, Operation: string(opListSubscriptions)}
}

func (c *Client) subscription(id string) *subscriptions.SubscriptionItemRequestBuilder {
	return subscriptions.NewSubscriptionItemRequestBuilderInternal(c.path("subscription%2Did", id), c.adapter)
}
