package graph

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"
)

// ownerKey is the key under which a context holds the Mailbox on whose owner's behalf calls are made.
type ownerKey struct{}

// OnBehalfOf says whose token calls take that name no mailbox themselves, such as those about subscriptions, where a tenant's
// people sign in themselves. It changes nothing for other tenants.
func OnBehalfOf(ctx context.Context, mb Mailbox) context.Context {
	return context.WithValue(ctx, ownerKey{}, mb)
}

// authorize gives the token that a call is made with: the application's own, or that of the mailbox's owner.
func (c *Client) authorize(ctx context.Context, cl call, rejected string) (string, error) {
	perUser, err := c.signIns.perUser(ctx, cl.tenant)
	if err != nil {
		return "", err
	}
	if !perUser {
		return c.tokens.get(ctx, cl.tenant, rejected)
	}
	mb, ok := ctx.Value(ownerKey{}).(Mailbox)
	if cl.lane.isMailbox() {
		mb, ok = Mailbox{Tenant: cl.lane.tenant, User: cl.lane.mailbox}, true
	}
	if !ok || mb.User == "" {
		return "", signInRequired() // There is nobody on whose behalf to ask.
	}
	token, newest, err := c.signIns.get(ctx, mb, rejected)
	if newest != nil {
		if err := newest(); err != nil {
			// The one before stays good: Entra takes none back for being used.
			c.log.LogAttrs(ctx, slog.LevelWarn, "can't keep the newest refresh token", slog.String("error", err.Error()))
		}
	}
	return token, err
}

func signInRequired() *Error {
	return &Error{Kind: KindSignIn, Reason: ReasonSignInRequired, Operation: string(opSignIn)}
}

// perUser says whether the tenant's people sign in themselves.
func (s *signIns) perUser(ctx context.Context, tenant string) (bool, error) {
	if s.kept == nil {
		return false, nil
	}
	tenant = strings.ToLower(tenant)
	s.mu.Lock()
	known, ok := s.methods[tenant]
	s.mu.Unlock()
	if ok && time.Since(known.at) < perUserMemory {
		return known.perUser, nil
	}
	perUser, err := s.kept.PerUser(ctx, tenant)
	if err != nil {
		return false, unkept(ctx, err)
	}
	s.mu.Lock()
	s.methods[tenant] = method{perUser: perUser, at: time.Now()}
	s.mu.Unlock()
	return perUser, nil
}

// unkept is the error of a call that could not be made because our own store didn't answer.
func unkept(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, opSignIn)
	}
	return &Error{Kind: KindUnavailable, Reason: ReasonServerError, Operation: string(opSignIn), cause: err}
}

// signedIn makes way for the tokens of somebody who has just signed in.
func (s *signIns) signedIn(mb Mailbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mailboxes, folded(mb))
	delete(s.methods, mb.Tenant)
}

func folded(mb Mailbox) Mailbox {
	return Mailbox{Tenant: strings.ToLower(mb.Tenant), User: strings.ToLower(mb.User)}
}

func (s *signIns) mailbox(mb Mailbox) *tenantToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := folded(mb)
	tt := s.mailboxes[key]
	if tt == nil {
		tt = &tenantToken{busy: make(chan struct{}, 1)}
		s.mailboxes[key] = tt
	}
	return tt
}

// get gives an access token of the mailbox's owner. rejected is one that Graph refused, or empty. keep, when there is one,
// saves the refresh token that came with it.
func (s *signIns) get(ctx context.Context, mb Mailbox, rejected string) (token string, keep func() error, err error) {
	tt := s.mailbox(mb)
	if token, ok := tt.usable(time.Now(), rejected); ok {
		return token, nil, nil
	}
	select {
	case tt.busy <- struct{}{}:
	case <-ctx.Done():
		return "", nil, ended(ctx, opSignIn)
	}
	defer func() { <-tt.busy }()
	now := time.Now()
	if token, ok := tt.usable(now, rejected); ok {
		return token, nil, nil
	}
	if tt.refused != nil && now.Sub(tt.refusedAt) < refusalMemory {
		again := *tt.refused
		return "", nil, &again
	}
	used, err := s.kept.RefreshToken(ctx, mb)
	if err != nil {
		return "", nil, unkept(ctx, err)
	}
	if used == "" {
		return "", nil, signInRequired()
	}
	fresh, err := s.ask(ctx, func(ctx context.Context) (*oauth2.Token, error) {
		return s.config(mb.Tenant, "").TokenSource(ctx, &oauth2.Token{RefreshToken: used}).Token()
	})
	if err != nil {
		if failure, ok := errors.AsType[*Error](err); ok && ctx.Err() == nil && failure.Kind != KindUnavailable {
			tt.refused, tt.refusedAt = failure, now
		}
		return "", nil, err
	}
	tt.refused = nil
	expires := fresh.Expiry
	if expires.IsZero() {
		expires = now.Add(5 * time.Minute)
	}
	tt.current.Store(&azcore.AccessToken{Token: fresh.AccessToken, ExpiresOn: expires})
	if fresh.RefreshToken == "" || fresh.RefreshToken == used {
		return fresh.AccessToken, nil, nil
	}
	return fresh.AccessToken, func() error {
		return s.kept.SaveRefreshToken(context.WithoutCancel(ctx), mb, used, fresh.RefreshToken)
	}, nil
}

// classifySignIn turns the failure of a sign-in or of a refresh into an *Error. By the error field, as Microsoft asks: the four
// that mean that the person has to come back, and then those that tokens of our own fail with, which are ours or the
// organisation's to mend.
func classifySignIn(ctx context.Context, err error, now time.Time) *Error {
	e := &Error{Operation: string(opSignIn), Kind: KindUnavailable, Reason: ReasonNetwork}
	if ctx.Err() != nil {
		e.Reason, e.cause = endReason(ctx), ctx.Err()
		return e
	}
	if errors.Is(err, errNoAssertion) {
		e.Kind, e.Reason = KindTenant, ReasonCredentialUnreadable
		return e
	}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.Response == nil {
		return e
	}
	e.Status = refused.Response.StatusCode
	e.RetryAfter = retryAfter(refused.Response.Header.Get("Retry-After"), now)
	var body tokenRefusal
	if json.Unmarshal(refused.Body, &body, lenient()) != nil {
		body = tokenRefusal{}
	}
	e.Code, e.RequestID = body.Error, printable(body.TraceID)
	e.Kind, e.Reason = tokenVerdict(e.Status, body)
	switch strings.ToLower(body.Error) {
	case "invalid_grant", "interaction_required", "login_required", "consent_required":
		// A consent that is missing here is the person's own.
		e.Kind = KindSignIn
	}
	return e
}

// aloneAtOnce is how many of the events of a tenant whose people sign in themselves are read at the same time.
const aloneAtOnce = 8

// eventsAlone reads the events one by one, each with its owner's token: a batch has one token for all.
func (c *Client) eventsAlone(ctx context.Context, tenant string, refs []EventRef, err error) []Result {
	results := make([]Result, len(refs))
	var work errgroup.Group
	work.SetLimit(aloneAtOnce)
	for i, ref := range refs {
		if err != nil {
			results[i].Err = err
			continue
		}
		work.Go(func() error {
			results[i].Event, results[i].Err = c.Event(ctx, Mailbox{Tenant: tenant, User: ref.Mailbox.User}, ref.ID)
			return nil // Each has its own.
		})
	}
	_ = work.Wait()
	return results
}
