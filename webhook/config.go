package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"pairsync/model"
)

// The paths that Graph posts to. Both take both kinds of notification.
const (
	NotificationsPath = "/graph/notifications"
	LifecyclePath     = "/graph/lifecycle"
)

// Publisher makes hints durable. It returns, by the end of ctx at the latest, what became of each hint in the same order; the
// error says why there are Unconfirmed ones.
type Publisher interface {
	Publish(ctx context.Context, hints []model.Hint) ([]model.Confirmation, error)
}

// Prover tells whose subscription a clientState belongs to; ok is false when it is none of ours. model.ClientStates is one.
type Prover interface {
	Verify(clientState string) (tenant, mailbox string, ok bool)
}

// Config shapes a Handler.
type Config struct {
	// ConfirmTimeout is how long, from the arrival of a POST's headers, its items may take to become durable before the answer is
	// 503; zero means 1.7 s, which leaves a margin to the 2 s of the contract and to the 3 s within which Graph wants an
	// answer.
	ConfirmTimeout time.Duration
	// RetryAfter is what a 503 asks for, in whole seconds; zero means 5 s.
	RetryAfter time.Duration
	// MaxBody is the most bytes a POST may have; zero means 4 MiB.
	MaxBody int64
	// MaxItems is the most items a POST may have; zero means 10,000. More are answered like a body that is too large.
	MaxItems int
	// SmallBodies and LargeBodies bound the bytes of all POSTs that are in memory at the same time, those of at most 128 KiB
	// and the larger ones apart, so that giants can't keep Graph's ordinary POSTs out. Zero means 64 MiB and 16 MiB. Over
	// the bound the answer is 503.
	SmallBodies int64
	LargeBodies int64
	// Extra are handlers of other exact paths on the same server, such as the end of the admin-consent redirect. They see every
	// method and measure themselves.
	Extra map[string]http.Handler
}

// Deps is what a Handler needs from others.
type Deps struct {
	Publisher    Publisher
	ClientStates Prover
	Log          *slog.Logger
	Registerer   prometheus.Registerer
	// TracerProvider starts a trace for each POST; nil means the global one.
	TracerProvider trace.TracerProvider
}

func (c *Config) setDefaults() {
	c.ConfirmTimeout = cmp.Or(c.ConfirmTimeout, 1700*time.Millisecond)
	c.RetryAfter = cmp.Or(c.RetryAfter, 5*time.Second)
	c.MaxBody = cmp.Or(c.MaxBody, 4<<20)
	c.MaxItems = cmp.Or(c.MaxItems, 10_000)
	c.SmallBodies = cmp.Or(c.SmallBodies, 64<<20)
	c.LargeBodies = cmp.Or(c.LargeBodies, 16<<20)
}

func (c *Config) validate() error {
	switch {
	case c.ConfirmTimeout < 0 || c.ConfirmTimeout > 2*time.Second:
		return fmt.Errorf("webhook: ConfirmTimeout %v: want more than 0 and at most 2s", c.ConfirmTimeout)
	case c.RetryAfter < time.Second:
		return fmt.Errorf("webhook: RetryAfter %v: want at least 1s", c.RetryAfter)
	case c.MaxBody < 0 || c.MaxItems < 0:
		return errors.New("webhook: MaxBody and MaxItems must be positive")
	case c.SmallBodies < smallBody:
		return fmt.Errorf("webhook: SmallBodies %d: want room for a body of %d bytes", c.SmallBodies, smallBody)
	case c.LargeBodies < c.MaxBody:
		return fmt.Errorf("webhook: LargeBodies %d: want room for a body of MaxBody, %d bytes", c.LargeBodies, c.MaxBody)
	}
	for path := range c.Extra {
		if path == NotificationsPath || path == LifecyclePath {
			return fmt.Errorf("webhook: Extra %s: the path is Graph's", path)
		}
	}
	return nil
}

func (d *Deps) validate() error {
	switch {
	case d.Publisher == nil:
		return errors.New("webhook: Deps without Publisher")
	case d.ClientStates == nil:
		return errors.New("webhook: Deps without ClientStates")
	case d.Registerer == nil:
		return errors.New("webhook: Deps without Registerer")
	}
	return nil
}

// New makes the handler of the public server. It fails on a Config or Deps that can't work.
func New(cfg Config, deps Deps) (*Handler, error) {
	cfg.setDefaults()
	if err := errors.Join(cfg.validate(), deps.validate()); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.TracerProvider == nil {
		deps.TracerProvider = otel.GetTracerProvider()
	}
	h := &Handler{
		cfg:       cfg,
		publisher: deps.Publisher,
		prover:    deps.ClientStates,
		log:       deps.Log,
		tracer:    deps.TracerProvider.Tracer("pairsync/webhook"),
		parsers:   newParsers(cfg.MaxItems),
		bodies:    newBodies(cfg),
		watch:     newWatch(time.Now),
	}
	h.metrics = newMetrics(deps.Registerer, h.watch)
	return h, nil
}
