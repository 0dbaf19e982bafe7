package graph

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// Config says where Graph and Entra are and who we are to them.
type Config struct {
	// URL is the service root with its version; empty means https://graph.microsoft.com/v1.0. Plain http on loopback only.
	URL string
	// AuthorityURL is Entra's; empty means https://login.microsoftonline.com. Plain http on loopback only. It is never looked
	// up in Microsoft's list of known authorities.
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
	// Timeout ends a single call with its token, not counting the wait for a turn; 0 means 30 s.
	Timeout time.Duration
	// Transport carries the requests; nil means one of our own.
	Transport http.RoundTripper
	// Delegated keeps the sign-ins of people who let us into their own calendar only; nil means that there are none.
	Delegated Delegated
	// UserAgent is sent with every request; empty means pairsync.
	UserAgent string
}

const (
	defaultURL                = "https://graph.microsoft.com/v1.0"
	defaultAuthority          = "https://login.microsoftonline.com"
	defaultConcurrency        = 64
	defaultMailboxConcurrency = 3
	defaultTimeout            = 30 * time.Second
)

// Client makes calls to Graph. It is safe for concurrent use. Every error that its methods return is an *Error.
type Client struct {
	root    *url.URL
	base    string
	timeout time.Duration

	http     *http.Client
	ownIdle  *http.Transport
	adapter  abstractions.RequestAdapter
	tokens   *tokens
	gate     *gate
	metrics  *metrics
	buffers  bufferPool
	log      *slog.Logger
	tracer   trace.Tracer
	sendWith sharedHeaders
	zones    func() zones
	signIns  *signIns
}

// sharedHeaders are header values that every request points to instead of making its own.
type sharedHeaders struct {
	prefer, userAgent, accept []string
}

// New checks cfg, reads the certificate if one is named, and makes no call.
func New(cfg Config, reg prometheus.Registerer, log *slog.Logger) (*Client, error) {
	root, err := checkedURL("the Graph URL", cmp.Or(cfg.URL, defaultURL))
	if err != nil {
		return nil, err
	}
	authority, err := checkedURL("the authority URL", cmp.Or(cfg.AuthorityURL, defaultAuthority))
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.ClientID == "":
		return nil, errors.New("no client id")
	case cfg.Concurrency < 0 || cfg.MailboxConcurrency < 0 || cfg.Timeout < 0:
		return nil, errors.New("concurrency, mailbox concurrency and timeout can't be negative")
	}
	concurrency := cmp.Or(cfg.Concurrency, defaultConcurrency)
	perMailbox := cmp.Or(cfg.MailboxConcurrency, defaultMailboxConcurrency)
	if perMailbox > concurrency {
		return nil, fmt.Errorf("mailbox concurrency %d is above the concurrency of the whole process, %d", perMailbox, concurrency)
	}
	c := &Client{
		root: root, base: root.String(), timeout: cmp.Or(cfg.Timeout, defaultTimeout),
		gate: newGate(concurrency, perMailbox), metrics: newMetrics(reg), log: log,
		buffers: bufferPool{pool: &sync.Pool{New: func() any { return new(bytes.Buffer) }}},
		zones:   readZones(),
		tracer:  otel.GetTracerProvider().Tracer("pairsync/internal/graph"),
		sendWith: sharedHeaders{
			prefer: []string{prefer}, userAgent: []string{cmp.Or(cfg.UserAgent, "pairsync")}, accept: []string{"application/json"},
		},
	}
	transport := cfg.Transport
	if transport == nil {
		c.ownIdle = newTransport(concurrency)
		transport = c.ownIdle
	}
	c.http = newPipeline(transport)
	if c.adapter, err = newAdapter(c.http, c.base); err != nil {
		return nil, err
	}
	if c.tokens, err = newTokens(cfg, authority, root, transport); err != nil {
		return nil, err
	}
	c.tokens.observe = func(status int, kind Kind, took time.Duration) {
		c.metrics.answered(opToken, status, took)
		c.metrics.refused(opToken, kind)
	}
	if c.signIns, err = newSignIns(cfg, authority, transport); err != nil {
		return nil, err
	}
	c.signIns.observe = func(status int, kind Kind, took time.Duration) {
		c.metrics.answered(opSignIn, status, took)
		c.metrics.refused(opSignIn, kind)
	}
	return c, nil
}

// newTransport keeps as many idle connections as there may be calls: the default of two a host would open a new one, with
// its TLS handshake, for most calls.
func newTransport(concurrency int) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        2 * concurrency,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

// CheckToken gets a token for the tenant, from the cache if there is a good one, and from Entra even if it refused a moment
// ago.
func (c *Client) CheckToken(ctx context.Context, tenant string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.tokens.check(ctx, tenant)
}

// Close lets go of idle connections. Calls under way are not touched.
func (c *Client) Close() {
	if c.ownIdle != nil {
		c.ownIdle.CloseIdleConnections()
	}
}
