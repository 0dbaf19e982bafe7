package simulator

import (
	"cmp"
	"context"
	"crypto/rsa"
	"fmt"
	"html/template"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// App is an application registered in Entra, multi-tenant as ours is.
type App struct {
	// ClientID is the application id.
	ClientID string
	// Name is what the login's pages call it; empty takes the id.
	Name string
	// Secret is its client secret; empty accepts every non-empty secret or well-formed assertion.
	Secret string
	// Keys verify client assertions (certificate credentials); none accepts every well-formed assertion.
	Keys []*rsa.PublicKey
	// SecretExpired makes the login answer AADSTS7000222 to that secret.
	SecretExpired bool
	// RedirectURIs are where its sign-ins and consents may lead back to, compared exactly; none accepts every one.
	RedirectURIs []string
	// Permissions are the application permissions that an admin's consent grants; none means Calendars.ReadWrite,
	// MailboxSettings.Read and User.Read.All.
	Permissions []string
}

// Config says how a Simulator behaves. The zero value is a well-behaved Outlook with Microsoft's own limits.
type Config struct {
	// PublicURL is the base of the links it writes (nextLink, token endpoint); empty takes the scheme and host of each request.
	PublicURL string
	// Apps are the registered applications; none accepts every client id with every credential.
	Apps []App
	// TokenLifetime is how long a token is good; zero means an hour.
	TokenLifetime time.Duration
	// CodeLifetime is how long a code can be traded for tokens; zero means ten minutes.
	CodeLifetime time.Duration
	// RefreshLifetime is how long a refresh token is good; zero means 90 days.
	RefreshLifetime time.Duration
	// Latency is how long each Graph call takes at least; zero adds nothing.
	Latency time.Duration
	// MailboxConcurrency is how many calls one mailbox serves at a time, the next one gets a 429; zero means 4, negative
	// means no limit.
	MailboxConcurrency int
	// MaxLifetime is the ceiling above which a subscription's expiry is refused; zero means the enforced 10,070 minutes.
	MaxLifetime time.Duration
	// MinLifetime is the floor to which a shorter expiry is raised without a word; zero means 45 minutes, negative none.
	MinLifetime time.Duration
	// GrantLifetime cuts what is granted without a word, after floor and ceiling; zero cuts nothing.
	GrantLifetime time.Duration
	// QuietExpiry holds back the reauthorizationRequired events that are sent when a subscription's expiry nears.
	QuietExpiry bool
	// HandshakeTimeout is how long an endpoint may take to echo a validation token; zero means 10 s.
	HandshakeTimeout time.Duration
	// AckTimeout and RetryAckTimeout are how long an endpoint may take to answer a notification, first and later; zero
	// means 3 s and 10 s.
	AckTimeout, RetryAckTimeout time.Duration
	// TimeScale shortens the pauses between retries, the four hours after which they end and the windows of the endpoint
	// states: 60 makes a minute of them a second. Zero means 1.
	TimeScale float64
	// BatchItems is the most items in one POST; zero means 20.
	BatchItems int
	// EndpointConcurrency is the most POSTs in flight to one URL; zero means 16.
	EndpointConcurrency int
	// EndpointStates turns on Graph's slow and drop states for endpoints that answer too late.
	EndpointStates bool
	// Behaviour is what goes wrong from the start.
	Behaviour Behaviour
	// StateFile holds everything between two runs; empty keeps nothing.
	StateFile string
	// Transport carries notifications and handshakes; nil means a transport of its own.
	Transport http.RoundTripper
	// Seed makes the misbehaviour repeatable; zero takes a random one.
	Seed uint64
	// Log is where it tells what it does; nil discards.
	Log *slog.Logger
}

// Simulator is the login, the Graph service, the page and the control API behind one http.Handler.
type Simulator struct {
	cfg     Config
	log     *slog.Logger
	world   *world
	tokens  *tokens
	codes   *codes
	login   *template.Template
	faults  *faults
	counts  *counters
	courier *courier
	feed    *feed
	saver   *saver
	fields  []eventField
	mux     *http.ServeMux
	service *http.ServeMux
}

// New returns a Simulator, with what Config.StateFile holds when that file exists. Run delivers its notifications.
func New(cfg Config) (*Simulator, error) {
	cfg = cfg.withDefaults()
	s := &Simulator{
		cfg:    cfg,
		log:    cfg.Log,
		world:  newWorld(),
		counts: newCounters(),
		feed:   newFeed(),
		codes:  newCodes(),
		fields: eventFields(),
	}
	s.faults = newFaults(cfg.Behaviour, cfg.Seed)
	s.courier = newCourier(s)
	s.saver = newSaver(cfg.StateFile)
	tokens, err := newTokens()
	if err != nil {
		return nil, fmt.Errorf("making the signing key: %w", err)
	}
	s.tokens = tokens
	if s.login, err = parseLoginPage(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("loading the simulator's state: %w", err)
	}
	s.mux, s.service = s.routes(), s.graphRoutes()
	return s, nil
}

func (c Config) withDefaults() Config {
	c.TokenLifetime = cmp.Or(c.TokenLifetime, time.Hour)
	c.CodeLifetime = cmp.Or(c.CodeLifetime, 10*time.Minute)
	c.RefreshLifetime = cmp.Or(c.RefreshLifetime, 90*24*time.Hour)
	c.MailboxConcurrency = cmp.Or(c.MailboxConcurrency, 4)
	c.MaxLifetime = cmp.Or(c.MaxLifetime, 10070*time.Minute)
	c.MinLifetime = cmp.Or(c.MinLifetime, 45*time.Minute)
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 10*time.Second)
	c.AckTimeout = cmp.Or(c.AckTimeout, 3*time.Second)
	c.RetryAckTimeout = cmp.Or(c.RetryAckTimeout, 10*time.Second)
	c.TimeScale = cmp.Or(c.TimeScale, 1)
	c.BatchItems = cmp.Or(c.BatchItems, 20)
	c.EndpointConcurrency = cmp.Or(c.EndpointConcurrency, 16)
	c.Seed = cmp.Or(c.Seed, rand.Uint64())
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			MaxIdleConnsPerHost: c.EndpointConcurrency,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return c
}

// scaled is a span of Graph's own time, shortened by Config.TimeScale.
func (c Config) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.TimeScale)
}

// ServeHTTP answers for login.microsoftonline.com, graph.microsoft.com (below /v1.0), the page and the control API.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v1.0/") {
		s.service.ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Run delivers notifications and lifecycle events, and saves the state, until ctx ends or the state can't be saved. What is
// undelivered then is kept in the state file.
func (s *Simulator) Run(ctx context.Context) error {
	saving, stopSaving := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSaving()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	saved := make(chan error, 1)
	go func() {
		saved <- s.saver.run(saving, s.snapshot)
		stop()
	}()
	s.courier.run(ctx)
	s.feed.close()
	stopSaving() // Last of all, so that the file has what the courier gave back.
	if err := <-saved; err != nil {
		return fmt.Errorf("saving the simulator's state: %w", err)
	}
	if t, ok := s.cfg.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// wait blocks for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
