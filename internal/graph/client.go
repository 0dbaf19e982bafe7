package graph

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where Graph and Entra are and who we are to them.
type Config struct {
	// URL is the service root with its version; empty means https://graph.microsoft.com/v1.0. Plain http on loopback only.
	URL string
	// AuthorityURL is Entra's; empty means https://login.microsoftonline.com. Plain http on loopback only.
	AuthorityURL string
	// ClientID is the Entra application. Required.
	ClientID string
	// ClientSecret or else ClientCertificateFile (PEM or PFX, with its private key) or else FederatedTokenFile (workload
	// identity) proves that it is us. One is required.
	ClientSecret          string
	ClientCertificateFile string
	FederatedTokenFile    string
	// Concurrency is how many calls may be under way at once; 0 means 64.
	Concurrency int
	// MailboxConcurrency is the same for one mailbox; 0 means 3. Microsoft's limit is 4.
	MailboxConcurrency int
	// Timeout ends a single call; 0 means 30 s.
	Timeout time.Duration
	// Transport carries the requests; nil means one of our own.
	Transport http.RoundTripper
	// UserAgent is sent with every request; empty means pairsync.
	UserAgent string
}

// Client makes calls to Graph. It is safe for concurrent use.
type Client struct{}

// New checks cfg, reads the certificate if one is named, and makes no call.
func New(cfg Config, reg prometheus.Registerer, log *slog.Logger) (*Client, error) {
	return nil, errors.New("not yet")
}

// Event reads one event.
func (c *Client) Event(ctx context.Context, mb Mailbox, id string) (Event, error) {
	return Event{}, nil
}

// Events reads many events of one tenant, twenty a request. The results stand in the order of refs.
func (c *Client) Events(ctx context.Context, tenant string, refs []EventRef) []Result { return nil }

// EventByICalUID finds the event that has this iCalUId in the mailbox; KindNotFound when none has.
func (c *Client) EventByICalUID(ctx context.Context, mb Mailbox, uid string) (Event, error) {
	return Event{}, nil
}

// Instances reads the occurrences and exceptions of a series that lie between from and to, all pages.
func (c *Client) Instances(ctx context.Context, mb Mailbox, masterID string, from, to time.Time) ([]Event, error) {
	return nil, nil
}

// User resolves an address to the Entra object id of its owner, lower case.
func (c *Client) User(ctx context.Context, tenant, email string) (string, error) { return "", nil }

// CheckToken gets a token for the tenant, from the cache if there is a good one.
func (c *Client) CheckToken(ctx context.Context, tenant string) error { return nil }

// CreateSubscription asks Graph to notify us of one mailbox's events. Graph calls NotificationURL before it answers.
func (c *Client) CreateSubscription(ctx context.Context, tenant string, req SubscriptionRequest) (Subscription, error) {
	return Subscription{}, nil
}

// RenewSubscription moves a subscription's expiry and refreshes its tie to our token. KindNotFound means that it is gone.
func (c *Client) RenewSubscription(ctx context.Context, tenant, id string, expiresAt time.Time) (Subscription, error) {
	return Subscription{}, nil
}

// Reauthorize refreshes a subscription's tie to our token and leaves its expiry alone.
func (c *Client) Reauthorize(ctx context.Context, tenant, id string) error { return nil }

// DeleteSubscription ends a subscription; one that is gone already is no error.
func (c *Client) DeleteSubscription(ctx context.Context, tenant, id string) error { return nil }

// Subscriptions lists every subscription that this application made in the tenant.
func (c *Client) Subscriptions(ctx context.Context, tenant string) ([]Subscription, error) {
	return nil, nil
}
