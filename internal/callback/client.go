package callback

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config says how receivers are called.
type Config struct {
	// AllowPrivate allows plain http and addresses that are not on the public internet.
	AllowPrivate bool
	// Timeout ends one call, from looking up the name to the end of the answer; 0 means 10 s.
	Timeout time.Duration
	// ConnsPerHost is how many idle connections to one host are kept; 0 means 8.
	ConnsPerHost int
	// UserAgent is sent with every call; empty means pairsync.
	UserAgent string
}

const (
	defaultTimeout = 10 * time.Second
	defaultConns   = 8
	// answerBound is how many bytes of an answer are read, in order to use its connection again. What is longer costs the
	// connection.
	answerBound = 16 << 10
	// headerBound is how many bytes the headers of an answer may have.
	headerBound = 64 << 10
)

// Message is one message to one receiver.
type Message struct {
	// URL is the receiver's.
	URL string
	// ID names the message: whoever gets it twice can tell.
	ID string
	// Body is JSON.
	Body []byte
	// Secrets are in the scheme's form, whsec_ and base64. Each of them signs; there is at least one.
	Secrets []string
	// SentAt is when this attempt is made. A receiver refuses what is more than five minutes from its own clock.
	SentAt time.Time
}

// Client calls receivers. It is safe for concurrent use.
type Client struct {
	http         *http.Client
	transport    *http.Transport
	allowPrivate bool
	userAgent    string
}

// New makes a Client. Nothing is called yet.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout < 0 || cfg.ConnsPerHost < 0 {
		return nil, errors.New("callback: Timeout and ConnsPerHost can't be negative")
	}
	timeout := cmp.Or(cfg.Timeout, defaultTimeout)
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	if !cfg.AllowPrivate {
		dialer.Control = newGuard().control
	}
	transport := &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    cmp.Or(cfg.ConnsPerHost, defaultConns),
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    timeout,
		MaxResponseHeaderBytes: headerBound,
	}
	return &Client{
		http: &http.Client{
			Transport: transport, Timeout: timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: transport, allowPrivate: cfg.AllowPrivate, userAgent: cmp.Or(cfg.UserAgent, "pairsync"),
	}, nil
}

// Close lets go of idle connections. Calls under way are not touched.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// CheckURL says why a URL can't be a receiver's; nil when it can. It looks nothing up: the address is judged when it is
// called.
func CheckURL(raw string, allowPrivate bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Hostname() == "":
		return errors.New("it is no absolute URL")
	case u.Scheme == "http" && !allowPrivate:
		return errors.New("it has to begin with https://")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it has to begin with https://")
	case u.User != nil, u.Fragment != "":
		return errors.New("it can't have a user or a fragment")
	}
	return nil
}

// Send POSTs a message and returns nil when the receiver took it, with any 2xx. Every other error is an *Error, but that of
// ctx when it ended.
func (c *Client) Send(ctx context.Context, m Message) error {
	if err := CheckURL(m.URL, c.allowPrivate); err != nil {
		return &Error{Reason: ReasonBadURL, cause: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return &Error{Reason: ReasonBadURL, cause: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if err := sign(req.Header, m); err != nil {
		return &Error{Reason: ReasonUnsigned, cause: err}
	}
	answer, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("calling the receiver: %w", ctx.Err())
		}
		return unanswered(err)
	}
	defer func() { _ = answer.Body.Close() }()
	// The status has been said; a body that doesn't end well changes nothing.
	_, _ = io.CopyN(io.Discard, answer.Body, answerBound)
	return answered(answer, m.SentAt)
}
