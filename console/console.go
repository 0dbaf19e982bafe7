package console

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pairsync/model"
)

// Config says how the API behaves. The zero value of every field but Tokens means its default.
type Config struct {
	// Tokens are the bearer tokens that the API knows. None: everybody is refused.
	Tokens []Token
	// MaxBody is the largest request body that is read, in bytes. Default 64 KiB.
	MaxBody int64
	// PublicURL is the base URL at which browsers come back from Microsoft. Required.
	PublicURL *url.URL
	// RequestTimeout is how long a request, the stream and the connection test excepted, may take from its headers to its answer.
	// Default 15s.
	RequestTimeout time.Duration
	// TestTimeout is the same for a connection test, which asks Microsoft about many people. Default 60s.
	TestTimeout time.Duration
	// ConsentWait is how long a consent may take to arrive at Microsoft's token service while the admin waits for the page.
	// Default 8s.
	ConsentWait time.Duration
	// WriteTimeout is how long a stream's client may take to accept what is sent before it is dropped. Default 10s.
	WriteTimeout time.Duration
	// Heartbeat is the longest silence on a stream. Default 15s.
	Heartbeat time.Duration
	// Poll is how often the feed looks at the database without having been told to, a net below LISTEN. Default 5s.
	Poll time.Duration
	// Backlog is how many recent changes are kept in memory for all streams together. Default 2048.
	Backlog int
	// MaxStreams is how many streams may be open at once. Default 2000.
	MaxStreams int
}

// Deps is what the API works with. All fields are required.
type Deps struct {
	Store *model.Store
	// Sealer seals what is kept of people's sign-ins and of callbacks, and what goes through Microsoft and back.
	Sealer *model.Sealer
	// Calendars, Directory and SignIn are Microsoft's side; a *graph.Client is all three.
	Calendars Calendars
	Directory Directory
	SignIn    SignIn
	// Door tries the way from outside to our own webhook server, as Graph does before it accepts a subscription; its errors are
	// best of package probe.
	Door       func(ctx context.Context) error
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

func (d Deps) validate() error {
	switch {
	case d.Store == nil || d.Log == nil || d.Registerer == nil:
		return errors.New("console: store, log and registerer are required")
	case d.Sealer == nil || d.Calendars == nil || d.Directory == nil || d.SignIn == nil || d.Door == nil:
		return errors.New("console: sealer, calendars, directory, sign-in and door are required")
	}
	return nil
}

// Console answers the platform API. Its http.Server needs a ReadHeaderTimeout and an IdleTimeout only: Console sets the
// deadlines of bodies and answers itself, request by request, because a stream lives as long as its client does.
type Console struct {
	cfg    Config
	tokens tokens
	store  *model.Store
	sealer *model.Sealer
	// calendars, directory and signIn are Microsoft's side, and door is the way to our own.
	calendars Calendars
	directory Directory
	signIn    SignIn
	door      func(ctx context.Context) error
	feed      *feed
	log       *slog.Logger
	metrics   *metrics
	mux       *http.ServeMux
	document  []byte
	// notice is the page that people get who come back from Microsoft.
	notice *template.Template
	// streams has one element for each open stream, catchUps one for each that reads the database.
	streams  chan struct{}
	catchUps chan struct{}
}

// New returns a Console, or an error that names the token or the setting that can't be used. Run must run for streams to
// see changes.
func New(cfg Config, deps Deps) (*Console, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	if cfg.PublicURL == nil {
		return nil, errors.New("console: the public URL is required")
	}
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 64<<10)
	cfg.RequestTimeout = cmp.Or(cfg.RequestTimeout, 15*time.Second)
	cfg.TestTimeout = cmp.Or(cfg.TestTimeout, time.Minute)
	cfg.ConsentWait = cmp.Or(cfg.ConsentWait, 8*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 10*time.Second)
	cfg.Heartbeat = cmp.Or(cfg.Heartbeat, 15*time.Second)
	cfg.Poll = cmp.Or(cfg.Poll, 5*time.Second)
	cfg.Backlog = cmp.Or(cfg.Backlog, 2048)
	cfg.MaxStreams = cmp.Or(cfg.MaxStreams, 2000)
	known, err := newTokens(cfg.Tokens)
	if err != nil {
		return nil, err
	}
	document, err := compactDocument()
	if err != nil {
		return nil, err
	}
	page, err := parseNotice()
	if err != nil {
		return nil, err
	}
	c := &Console{
		cfg:       cfg,
		tokens:    known,
		store:     deps.Store,
		sealer:    deps.Sealer,
		calendars: deps.Calendars,
		directory: deps.Directory,
		signIn:    deps.SignIn,
		door:      deps.Door,
		notice:    page,
		feed:      newFeed(deps.Store, cfg.Backlog, cfg.Poll, deps.Log),
		log:       deps.Log,
		mux:       http.NewServeMux(),
		document:  document,
		streams:   make(chan struct{}, cfg.MaxStreams),
		catchUps:  make(chan struct{}, catchUps),
	}
	c.metrics = newMetrics(deps.Registerer, c.route())
	return c, nil
}

// Run keeps the change feed that all streams share up to date until ctx ends, then ends every stream, which lets the
// server shut down at once.
func (c *Console) Run(ctx context.Context) error {
	return c.feed.Run(ctx)
}
