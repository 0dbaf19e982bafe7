package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/internal/probe"
	"pairsync/model"
)

const (
	// probesAtOnce is how many people one request tries at the same time.
	probesAtOnce  = 8
	defaultSample = 10
	maxSample     = 100
	// maxStrangers is how many mailboxes beyond the participants' are tried. They are chosen out of maxListed people of the
	// directory, of whom maxLookedUp are looked up.
	maxStrangers = 3
	maxListed    = 200
	maxLookedUp  = 60
	// noSuchEvent is an iCalUId that no event has: asking for it shows that a calendar can be read, and reads nothing of it.
	noSuchEvent = "pairsync-connection-test"
)

// tryout is the answer to a connection test.
type tryout struct {
	Accessible   int             `json:"accessible"`
	Inaccessible int             `json:"inaccessible"`
	Results      []tryoutPerson  `json:"results"`
	Door         stepResult      `json:"door"`
	Warnings     []tryoutWarning `json:"warnings"`
}

// tryoutPerson is how far the way to one participant's calendar goes. Step, Reason and Remedy are of the first step that failed.
type tryoutPerson struct {
	Participant string       `json:"participant"`
	OK          bool         `json:"ok"`
	Step        *step        `json:"step"`
	Reason      *string      `json:"reason"`
	Remedy      *string      `json:"remedy"`
	Steps       []stepResult `json:"steps"`
}

// stepResult is what came of one step.
type stepResult struct {
	Step   step    `json:"step"`
	OK     bool    `json:"ok"`
	Reason *string `json:"reason"`
	Remedy *string `json:"remedy"`
}

// tryoutWarning is something that works and should not stay so.
type tryoutWarning struct {
	// Kind is a word of a closed set.
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

// The kinds of warning.
const (
	warnBroadAccess = "access_beyond_participants"
	warnNobody      = "no_participants"
)

// testConnection tries the calendars of some participants step by step, and the way from outside to our own door.
func (c *Console) testConnection(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	body, err := c.readOptionalObject(w, r, "sample", "participants")
	if err != nil {
		return err
	}
	sample := body.number("sample", defaultSample, 1, maxSample)
	var ids []string
	if body.has("participants") {
		ids = body.ids("participants", "ids of participants", maxSample)
	}
	if err := body.err(); err != nil {
		return err
	}
	people, err := c.sample(r.Context(), tenant.ID, ids, sample)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c.try(r.Context(), tenant, people))
}

// sample are the participants to try: those named, or some at random.
func (c *Console) sample(ctx context.Context, tenant string, ids []string, n int) ([]model.Participant, error) {
	if ids == nil {
		people, err := c.store.SampleParticipants(ctx, tenant, n)
		if err != nil {
			return nil, fmt.Errorf("choosing participants: %w", err)
		}
		return people, nil
	}
	people := make([]model.Participant, 0, len(ids))
	for i, id := range ids {
		p, err := c.store.Participant(ctx, tenant, id)
		if errors.Is(err, model.ErrNotFound) {
			return nil, invalid(fmt.Sprintf("participants[%d]", i), "names %q, who is not a participant", id)
		}
		if err != nil {
			return nil, fmt.Errorf("reading a participant: %w", err)
		}
		people = append(people, p)
	}
	return people, nil
}

// try runs all steps. What it finds out on the way is put down: a mailbox that can be read is well again.
func (c *Console) try(ctx context.Context, tenant model.Tenant, people []model.Participant) tryout {
	t := tryout{Results: make([]tryoutPerson, len(people)), Warnings: []tryoutWarning{}}
	var g errgroup.Group
	g.SetLimit(probesAtOnce + 1) // The door isn't one of the mailboxes.
	g.Go(func() error {
		t.Door = newStep(stepDoor, c.door(ctx))
		return nil
	})
	tokenErr := c.tryToken(ctx, tenant)
	var broad []tryoutWarning
	if tokenErr == nil && tenant.Method == model.MethodDomainWide {
		g.Go(func() error {
			broad = c.tryStrangers(ctx, tenant)
			return nil
		})
	}
	for i, p := range people {
		g.Go(func() error {
			t.Results[i] = c.tryPerson(ctx, tenant, p, tokenErr)
			return nil
		})
	}
	_ = g.Wait() // Failures are what it is about; they are in the results.
	for _, p := range t.Results {
		if p.OK {
			t.Accessible++
		} else {
			t.Inaccessible++
		}
	}
	t.Warnings = append(t.Warnings, broad...)
	if len(people) == 0 {
		t.Warnings = append(t.Warnings, tryoutWarning{warnNobody, "There are no participants yet, so no calendar was tried: PUT some first."})
	}
	return t
}

// tryToken gets a token for the organisation where it has one, and notes that it is connected.
func (c *Console) tryToken(ctx context.Context, tenant model.Tenant) error {
	if tenant.Method == model.MethodPerUser {
		return nil
	}
	if _, _, err := c.directory.TokenTenant(ctx, tenant.ID); err != nil {
		return fmt.Errorf("getting a token: %w", err)
	}
	if tenant.Status == model.TenantPendingConsent || tenant.Status == model.TenantFailing {
		if _, err := c.store.SetTenantStatus(ctx, tenant.ID, model.TenantConnected, ""); err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "the tenant's status could not be noted", slog.Any("error", err))
		}
	}
	return nil
}

// tryPerson goes the way to one participant's calendar, until a step fails.
func (c *Console) tryPerson(ctx context.Context, tenant model.Tenant, p model.Participant, tokenErr error) tryoutPerson {
	result := tryoutPerson{Participant: p.ID, Steps: []stepResult{}}
	mailbox := mailboxOf(tenant.ID, p.MailboxID, p.Email)
	now := time.Now()
	for _, part := range []struct {
		step step
		// perUser says whether the step is one of a person's own connection too, which may not read the directory.
		perUser bool
		try     func() error
	}{
		{stepToken, false, func() error { return tokenErr }},
		{stepUser, false, func() error {
			id, err := c.directory.User(ctx, tenant.ID, p.Email)
			if err == nil {
				mailbox.User = id
			}
			return err
		}},
		{stepMailbox, true, func() error {
			_, err := c.calendars.MailboxSettings(ctx, mailbox)
			return err
		}},
		{stepRead, true, func() error { return c.readable(ctx, mailbox) }},
		{stepFreeBusy, true, func() error {
			got, err := c.calendars.Schedules(ctx, mailbox, []string{p.Email}, now, now.Add(24*time.Hour))
			if err == nil && len(got) == 1 {
				err = got[0].Err
			}
			return err
		}},
	} {
		if tenant.Method == model.MethodPerUser && !part.perUser {
			continue
		}
		s := newStep(part.step, part.try())
		result.Steps = append(result.Steps, s)
		if !s.OK {
			result.Step, result.Reason, result.Remedy = &s.Step, s.Reason, s.Remedy
			return result
		}
	}
	result.OK = true
	if _, err := c.store.MailboxHealed(ctx, tenant.ID, p.ID); err != nil && !errors.Is(err, model.ErrNotFound) {
		c.log.LogAttrs(ctx, slog.LevelWarn, "the mailbox's status could not be noted", slog.Any("error", err))
	}
	return result
}

// readable reads a calendar without reading anything of it.
func (c *Console) readable(ctx context.Context, mailbox graph.Mailbox) error {
	_, err := c.calendars.EventByICalUID(ctx, mailbox, noSuchEvent)
	if graph.KindOf(err) == graph.KindNotFound {
		return nil
	}
	return err
}

// tryStrangers warns when the application can read the calendars of people who are not participants.
func (c *Console) tryStrangers(ctx context.Context, tenant model.Tenant) []tryoutWarning {
	listed, err := c.directory.Users(ctx, tenant.ID, maxListed)
	if err != nil {
		return nil // Whoever can't list people can't be said to read too many.
	}
	rand.Shuffle(len(listed), func(i, j int) { listed[i], listed[j] = listed[j], listed[i] })
	tried, open := 0, 0
	for _, user := range listed[:min(maxLookedUp, len(listed))] {
		known, err := c.isParticipant(ctx, tenant.ID, user)
		if err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "participants could not be told from others", slog.Any("error", err))
			return nil
		}
		if known {
			continue
		}
		tried++
		if c.readable(ctx, graph.Mailbox{Tenant: tenant.ID, User: user.ID}) == nil {
			open++
		}
		if tried == maxStrangers {
			break
		}
	}
	if open == 0 {
		return nil
	}
	return []tryoutWarning{{warnBroadAccess, fmt.Sprintf(
		"The application can read calendars of people who are not participants: %d of %d tried. An Exchange admin can limit it to the participants' group with RBAC for Applications; the consent for the whole organisation must then be taken back, since the two add up.", open, tried)}}
}

// isParticipant says whether somebody of the directory is one, by object id or by address.
func (c *Console) isParticipant(ctx context.Context, tenant string, user graph.DirectoryUser) (bool, error) {
	for _, name := range []string{user.ID, user.Email} {
		_, err := c.store.ParticipantOfMailbox(ctx, tenant, name)
		if err == nil || !errors.Is(err, model.ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}

// newStep is what came of a step.
func newStep(at step, err error) stepResult {
	if err == nil {
		return stepResult{Step: at, OK: true}
	}
	if failure, ok := errors.AsType[*probe.HopError](err); ok {
		reason, mend := failure.Reason(), failure.Detail+": "+failure.Remedy
		return stepResult{Step: at, Reason: &reason, Remedy: &mend}
	}
	t := troubleOf(err, at)
	return stepResult{Step: at, Reason: &t.Reason, Remedy: &t.Remedy}
}
