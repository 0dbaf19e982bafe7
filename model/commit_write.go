package model

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pairsync/model/internal/dbsql"
)

// writing collects what a batch of readings writes.
type writing struct {
	// last is, for each session that is written, the newest reading of it that was not stale.
	last    map[SessionKey]*lastReading
	order   []SessionKey
	changes []Change
	// touched is, for each organizer, the end before which their subscription must be looked at; zero for at once.
	touched map[SessionKey]time.Time
	// rows are what the database gave the changes, by id.
	rows map[string]dbsql.WriteChangesRow
}

type lastReading struct {
	beganAt      time.Time
	notifiedAt   time.Time
	nextVerifyAt time.Time
}

func newWriting(n int) *writing {
	return &writing{
		last: make(map[SessionKey]*lastReading, n), touched: map[SessionKey]time.Time{},
		rows: make(map[string]dbsql.WriteChangesRow, n),
	}
}

// take reconciles one reading with its session, which it replaces.
func (w *writing) take(r Reading, sessions map[SessionKey]Session) Outcome {
	key := SessionKey{r.Tenant, r.Session}
	before, ok := sessions[key]
	if !ok {
		return Outcome{Err: &MissingError{Thing: ThingSession, ID: r.Session}}
	}
	next, changes, verdict := Reconcile(before, r.Observation)
	if verdict == VerdictStale {
		return Outcome{Verdict: verdict, Session: before}
	}
	sessions[key] = next
	for i := range changes {
		c := &changes[i]
		c.ID, c.Cause, c.ReceivedAt = uuid.NewString(), r.Cause, stored(r.ReceivedAt)
		if c.OccurredAt.IsZero() {
			c.OccurredAt = c.ReceivedAt
		}
		w.touch(c.Kind, before, next)
	}
	w.changes = append(w.changes, changes...)
	l := w.last[key]
	if l == nil {
		l = &lastReading{}
		w.last[key] = l
		w.order = append(w.order, key)
	}
	l.beganAt = *latest(&l.beganAt, stored(r.Observation.ReadAt))
	l.nextVerifyAt = cmp.Or(r.NextVerifyAt, l.nextVerifyAt)
	if r.Cause == CauseNotification {
		l.notifiedAt = *latest(&l.notifiedAt, stored(r.ReceivedAt))
	}
	return Outcome{Verdict: verdict, Changes: changes, Session: next}
}

// touch notes what a change may mean for the subscription of the organizer's mailbox. A session that moves to a later time
// means nothing: the subscription is looked at when the session would have ended, and then found to be wanted.
func (w *writing) touch(kind ChangeKind, before, next Session) {
	key := SessionKey{next.Tenant, next.Organizer}
	until, known := w.touched[key]
	switch {
	case kind == KindCancelled, kind == KindReinstated,
		kind == KindRescheduled && before.EndsAt.Before(time.Now().Add(time.Minute)):
		w.touched[key] = time.Time{}
	case kind == KindRescheduled && next.EndsAt.Before(before.EndsAt) && (!known || next.EndsAt.Before(until)):
		w.touched[key] = next.EndsAt
	}
}

// send writes everything and commits, in one flight. The cursors are drawn last: see WriteChanges.
func (w *writing) send(ctx context.Context, conn *pgxpool.Conn, sessions map[SessionKey]Session) error {
	b := &pgx.Batch{}
	if len(w.order) > 0 {
		arg, err := w.readings(sessions)
		if err != nil {
			return err
		}
		dbsql.QueueWriteReadings(b, arg)
	}
	if len(w.touched) > 0 {
		dbsql.QueueTouchSubscriptions(b, touchedParams(w.touched))
	}
	if len(w.changes) > 0 {
		dbsql.QueueWriteChanges(b, changesParams(w.changes), func(row dbsql.WriteChangesRow) { w.rows[row.ID] = row })
	}
	if err := flight(ctx, conn, b); err != nil {
		return fmt.Errorf("writing readings: %w", err)
	}
	return nil
}

// complete adds to a change what the database gave it.
func (w *writing) complete(c *Change) {
	row := w.rows[c.ID]
	c.Cursor, c.AppliedAt = row.Cursor, row.AppliedAt
}

func (w *writing) readings(sessions map[SessionKey]Session) (dbsql.WriteReadingsParams, error) {
	var p dbsql.WriteReadingsParams
	for _, key := range w.order {
		s, l := sessions[key], w.last[key]
		attendees, err := json.Marshal(s.Attendees)
		if err != nil {
			return p, fmt.Errorf("encoding the attendees of session %s: %w: %w", s.ID, errUnreadable, err)
		}
		p.Tenants, p.Ids = append(p.Tenants, s.Tenant), append(p.Ids, s.ID)
		p.Statuses = append(p.Statuses, string(s.Status))
		p.Starts, p.Ends = append(p.Starts, s.StartsAt), append(p.Ends, s.EndsAt)
		p.JoinUrls = append(p.JoinUrls, s.JoinURL)
		p.Attendees = append(p.Attendees, attendees)
		p.EventIds, p.IcalUids = append(p.EventIds, s.EventID), append(p.IcalUids, s.ICalUID)
		p.ChangeKeys = append(p.ChangeKeys, s.ChangeKey)
		p.SeriesMasterIds = append(p.SeriesMasterIds, s.SeriesMasterID)
		p.OriginalStarts = append(p.OriginalStarts, value(s.OriginalStart))
		p.LastModified = append(p.LastModified, value(s.LastModifiedAt))
		p.ReadAt, p.VerifiedAt = append(p.ReadAt, value(s.ReadAt)), append(p.VerifiedAt, value(s.VerifiedAt))
		p.Vanished, p.Versions = append(p.Vanished, s.Vanished), append(p.Versions, s.Version)
		p.NotifiedAt, p.BeganAt = append(p.NotifiedAt, l.notifiedAt), append(p.BeganAt, l.beganAt)
		p.NextVerifyAt = append(p.NextVerifyAt, l.nextVerifyAt)
	}
	return p, nil
}

func touchedParams(touched map[SessionKey]time.Time) dbsql.TouchSubscriptionsParams {
	keys := make([]SessionKey, 0, len(touched))
	for key := range touched {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b SessionKey) int { return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID)) })
	var p dbsql.TouchSubscriptionsParams
	for _, key := range keys {
		p.Tenants, p.Participants = append(p.Tenants, key.Tenant), append(p.Participants, key.ID)
		p.Ends = append(p.Ends, touched[key])
	}
	return p
}

func changesParams(changes []Change) dbsql.WriteChangesParams {
	var p dbsql.WriteChangesParams
	for _, c := range changes {
		p.Ids, p.Tenants, p.Sessions = append(p.Ids, c.ID), append(p.Tenants, c.Tenant), append(p.Sessions, c.Session)
		p.Versions = append(p.Versions, c.Version)
		p.Kinds, p.Sources = append(p.Kinds, string(c.Kind)), append(p.Sources, string(c.Source))
		p.Causes = append(p.Causes, string(c.Cause))
		p.Befores, p.Afters = append(p.Befores, c.Before), append(p.Afters, c.After)
		p.Participants = append(p.Participants, c.Participant)
		p.OccurredAt, p.ReceivedAt = append(p.OccurredAt, c.OccurredAt), append(p.ReceivedAt, c.ReceivedAt)
	}
	return p
}
