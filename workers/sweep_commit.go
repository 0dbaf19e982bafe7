package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"pairsync/model"
)

// commit commits what the sweep read. due and read stand side by side and belong to one tenant.
func (s *sweep) commit(ctx context.Context, tenant string, due []model.Due, read []model.Observation) {
	if len(due) == 0 {
		return
	}
	organizers := make(map[string]model.Session)
	all := make([]model.Reading, len(due))
	for i, d := range due {
		organizers[d.Session.Organizer] = d.Session
		all[i] = model.Reading{
			Tenant: tenant, Session: d.Session.ID, Observation: read[i], Cause: d.Cause,
			ReceivedAt: read[i].ReadAt, NextVerifyAt: time.Now().Add(s.cfg.verifyIn()),
		}
	}
	for _, session := range organizers {
		if err := s.wards.read(ctx, session); err != nil {
			s.interrupted(ctx, err)
			return
		}
	}
	out, err := s.ledger.commit(ctx, all)
	if err != nil {
		s.interrupted(ctx, err)
		return
	}
	for i, d := range due {
		s.count(ctx, d, read[i], out[i])
	}
}

// count notes one verified session. What the sweep found although nobody asked it to look is drift.
func (s *sweep) count(ctx context.Context, d model.Due, o model.Observation, out model.Outcome) {
	if out.Err != nil {
		if !errors.Is(out.Err, model.ErrNotFound) {
			s.log.ErrorContext(ctx, "a verified session could not be committed", slog.String("error", out.Err.Error()))
		}
		return
	}
	s.metrics.verified.Inc()
	s.metrics.committed(out)
	if d.Cause != model.CauseSweep || len(out.Changes) == 0 {
		return
	}
	s.metrics.drift.Add(float64(len(out.Changes)))
	if o.Found {
		s.suspect(ctx, d, o.LastModifiedAt)
	}
}

// suspect has a mailbox's subscription made anew if nothing was heard of the mailbox within the grace after a change that
// the sweep had to find.
func (s *sweep) suspect(ctx context.Context, d model.Due, changedAt time.Time) {
	s.running.Go(func() {
		if pause(ctx, time.Until(changedAt.Add(s.cfg.SilenceGrace))) != nil {
			return
		}
		silent, err := s.store.MarkSilent(ctx, d.Session.Tenant, d.Session.Organizer, changedAt, s.cfg.SilenceGrace)
		if err != nil {
			s.interrupted(ctx, err)
			return
		}
		if silent {
			s.log.WarnContext(ctx, "a mailbox changed and its subscription said nothing: it is made anew")
		}
	})
}
