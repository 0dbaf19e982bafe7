package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"pairsync/internal/simulator"
)

// sweepSoon has every session verified again within seconds.
func (s *site) sweepSoon() { s.env["PAIRSYNC_SWEEP_INTERVAL"] = "2s" }

// mailbox is how pairsync says that a mentor's mailbox is.
type mailbox struct {
	Status       string `json:"status"`
	Reason       string `json:"reason"`
	Subscription *struct {
		ExpiresAt time.Time `json:"expires_at"`
	} `json:"subscription"`
}

func (s *site) mailbox(ctx context.Context, m *meeting) (mailbox, error) {
	var have struct {
		Mailbox mailbox `json:"mailbox"`
	}
	err := s.api.do(ctx, http.MethodGet, "/tenants/"+m.org.tenant+"/participants/"+m.pair.mentor.id, nil, &have)
	return have.Mailbox, err
}

func (s *site) session(ctx context.Context, m *meeting) (apiSession, error) {
	var have apiSession
	err := s.api.do(ctx, http.MethodGet, m.path(), nil, &have)
	return have, err
}

// tenantIs waits until the organisation has the status.
func (s *site) tenantIs(t *testing.T, org organisation, want string) (reason string) {
	t.Helper()
	var have struct {
		Status string `json:"status"`
		Reason string `json:"status_reason"`
	}
	within(t, org.name+" to be "+want, func(ctx context.Context) (bool, error) {
		err := s.api.do(ctx, http.MethodGet, "/tenants/"+org.tenant, nil, &have)
		return have.Status == want, err
	})
	return have.Reason
}

// stands fails when the session is not on, at the time at which pairsync last knew it.
func (s *site) stands(t *testing.T, m *meeting, at time.Time) {
	t.Helper()
	have, err := s.session(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if have.Status != "scheduled" || !have.StartsAt.Equal(at) {
		t.Errorf("%s is %s at %s, want it scheduled at %s", m.id, have.Status, have.StartsAt, at)
	}
}

// TestAMailboxIsShut takes pairsync's access to one mailbox away, in all the ways that Exchange has. Its sessions stand, one
// can see why, and it heals by itself; the mailbox beside it notices nothing.
func TestAMailboxIsShut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sweepSoon()
	start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 1)
	shut, open := meetings[0], meetings[1]

	for _, kind := range []simulator.MailboxKind{simulator.MailboxAccessDenied, simulator.MailboxDeleted} {
		known := shut.start
		if err := s.outlook.sim.SetMailbox(shut.pair.mentor.email, kind); err != nil {
			t.Fatal(err)
		}
		s.move(t, shut) // Nobody can read that.
		within(t, "the mailbox to be unreachable", func(ctx context.Context) (bool, error) {
			box, err := s.mailbox(ctx, shut)
			return box.Status == "unreachable" && box.Reason != "", err
		})
		within(t, "the session to be unreachable", func(ctx context.Context) (bool, error) {
			have, err := s.session(ctx, shut)
			return have.Outlook.State == "unreachable", err
		})
		s.stands(t, shut, known)
		if n := s.metric(t.Context(), t, "mailboxes", `status="unreachable"`); n != 1 {
			t.Errorf("%v mailboxes count as unreachable", n)
		}
		s.move(t, open)
		s.agree(t, meetings[1:])

		if err := s.outlook.sim.SetMailbox(shut.pair.mentor.email, simulator.MailboxOK); err != nil {
			t.Fatal(err)
		}
		s.agree(t, meetings)
		within(t, "the mailbox to be well", func(ctx context.Context) (bool, error) {
			box, err := s.mailbox(ctx, shut)
			return box.Status == "ok" && box.Reason == "" && box.Subscription != nil, err
		})
	}
	if s.metric(t.Context(), t, "deadletters") != 0 {
		t.Error("a shut mailbox gives dead letters")
	}
}

// TestConsentIsWithdrawn has an organisation take its consent back, by removing the application and by removing its
// permissions. It counts as failing, nothing is cancelled, the other organisation notices nothing, and it heals by itself.
func TestConsentIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *simulator.Config) { cfg.TokenLifetime = 3 * time.Second })
	s.sweepSoon()
	start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 1)
	lost, other := meetings[:2], meetings[2:]

	for _, consent := range []simulator.Consent{simulator.ConsentMissing, simulator.ConsentWithdrawn} {
		known := lost[0].start
		if err := s.outlook.sim.SetConsent(lost[0].org.tenant, consent); err != nil {
			t.Fatal(err)
		}
		s.move(t, lost[0])
		s.move(t, other[0])
		s.agree(t, other)
		if reason := s.tenantIs(t, lost[0].org, "failing"); reason == "" {
			t.Error("nobody says why the organisation is failing")
		}
		for _, m := range lost {
			within(t, "the session to be unreachable", func(ctx context.Context) (bool, error) {
				have, err := s.session(ctx, m)
				return have.Outlook.State == "unreachable", err
			})
		}
		s.stands(t, lost[0], known)
		s.tenantIs(t, other[0].org, "connected")

		if err := s.outlook.sim.SetConsent(lost[0].org.tenant, simulator.ConsentGranted); err != nil {
			t.Fatal(err)
		}
		s.tenantIs(t, lost[0].org, "connected")
		s.agree(t, meetings)
	}
	if s.metric(t.Context(), t, "deadletters") != 0 {
		t.Error("a withdrawn consent gives dead letters")
	}
}
