package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"pairsync/internal/mail"
	"pairsync/model"
)

// The sizes: letters claimed at once, and letters sent at once.
const (
	mailClaim = 32
	mailMost  = 4
)

// mailWrite bounds what is written before and after a letter is sent.
const mailWrite = 10 * time.Second

// mails tells the owners of integrations what is broken and what is mended. The database knows of each letter whether somebody
// has begun to send it, so that none is sent twice: of a letter that was handed over when the connection broke, or the process
// ended, nobody knows, and it is not sent again.
type mails struct {
	cfg   StewardConfig
	store *model.Store
	// send is nil when there is no mail server.
	send    func(ctx context.Context, l mail.Letter) error
	metrics *stewardMetrics
	log     *slog.Logger
	wake    chan struct{}
}

// Run sends what is due until ctx ends, and then waits for the letters on their way, which end with work.
func (m *mails) Run(ctx, work context.Context) error {
	errand{
		once: func(ctx context.Context) (bool, error) { return m.claim(ctx, work) },
		due: func(ctx context.Context) (time.Time, bool, error) {
			return m.store.NextMailDue(ctx, m.cfg.MailGather)
		},
		poll: m.cfg.PollInterval, retryMin: m.cfg.RetryMin, retryMax: m.cfg.RetryMax, wake: m.wake, log: m.log,
		interrupted: "sending letters is interrupted",
	}.run(ctx)
	return nil
}

// claim sends what is due.
func (m *mails) claim(ctx, work context.Context) (more bool, err error) {
	letters, err := m.store.ClaimMail(ctx, mailClaim, m.cfg.MailGather, m.cfg.MailLease)
	if err != nil {
		return false, fmt.Errorf("claiming letters: %w", err)
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	slots := make(chan struct{}, mailMost)
	for _, l := range letters {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false, ctx.Err() // What is not begun is somebody else's after the lease.
		}
		sending.Go(func() {
			defer func() { <-slots }()
			// A panic is in the log then, and the letter may be on its way.
			_ = guard(work, m.log, func() { m.deliver(work, l) })
		})
	}
	return len(letters) == mailClaim, nil
}

// deliver sends one letter, unless somebody else does, and writes what became of it.
func (m *mails) deliver(ctx context.Context, l model.Mail) {
	mine, err := m.begin(ctx, l)
	if err != nil {
		m.log.WarnContext(ctx, "a letter can't be begun", slog.String("error", err.Error()))
		return
	}
	if !mine {
		return
	}
	var failure error
	if m.send == nil {
		m.log.WarnContext(ctx, "the owner of an integration is not told, because no mail server is named", attributes(l)...)
	} else {
		failure = m.send(ctx, letterOf(l))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mailWrite)
	defer cancel()
	if err := m.settle(ctx, l, failure); err != nil {
		m.log.WarnContext(ctx, "a letter's outcome can't be written", slog.String("error", err.Error()))
	}
}

// begin says whether the letter is ours to send. From then on it is nobody else's.
func (m *mails) begin(ctx context.Context, l model.Mail) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, mailWrite)
	defer cancel()
	return m.store.MailSending(ctx, l.ID)
}

// settle writes what became of a letter.
func (m *mails) settle(ctx context.Context, l model.Mail, failure error) error {
	reason, code := mail.ReasonUnreachable, 0
	if f, ok := errors.AsType[*mail.Error](failure); ok {
		reason, code = f.Reason, f.Code
	}
	switch {
	case failure == nil && m.send == nil:
		m.metrics.mailed(mailLogged)
		return m.store.MailSent(ctx, l.ID)
	case failure == nil:
		m.metrics.mailed(mailSent)
		m.log.InfoContext(ctx, "the owner of an integration was told", attributes(l)...)
		return m.store.MailSent(ctx, l.ID)
	case reason == mail.ReasonUnsure:
		m.metrics.mailed(mailUnsure)
		m.log.WarnContext(ctx, "a letter may not have been sent, and is not sent again", attributes(l)...)
		return m.store.MailSent(ctx, l.ID)
	case reason == mail.ReasonUnwritable:
		m.metrics.mailed(mailDropped)
		m.log.ErrorContext(ctx, "a letter can't be sent to its owner's address", attributes(l)...)
		return m.store.MailDropped(ctx, l.ID)
	}
	m.metrics.mailed(mailRetried)
	wait := backoff(l.Attempts+1, m.cfg.MailRetryMin, m.cfg.MailRetryMax)
	m.log.WarnContext(ctx, "a letter was not sent", append(attributes(l),
		slog.String("cause", string(reason)), slog.Int("code", code), slog.Duration("wait", wait))...)
	return m.store.MailFailed(ctx, l.ID, time.Now().Add(wait))
}

// attributes say which letter it is, without an address.
func attributes(l model.Mail) []any {
	var reasons []string
	for _, alike := range grouped(l.Incidents) {
		reasons = append(reasons, fmt.Sprintf("%s:%s:%d", alike[0].Scope, alike[0].Reason, len(alike)))
	}
	return []any{
		slog.Int64("letter", l.ID), slog.String("tenant", l.Tenant), slog.String("kind", string(l.Kind)),
		slog.String("reasons", strings.Join(reasons, " ")),
	}
}
