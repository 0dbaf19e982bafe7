package model

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
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
	// requests and pending are what follows for the platform's side.
	requests dbsql.SettleRequestsParams
	opened   dbsql.InsertPendingParams
	closed   dbsql.ClosePendingParams
	// first is each written session that had a request, as it was before.
	first map[SessionKey]Session
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
		rows: make(map[string]dbsql.WriteChangesRow, n), first: map[SessionKey]Session{},
	}
}

// take reconciles one reading with its session, which it replaces.
func (w *writing) take(r Reading, sessions map[SessionKey]Session, policy Policy) Outcome {
	key := SessionKey{r.Tenant, r.Session}
	before, ok := sessions[key]
	if !ok {
		return Outcome{Err: &MissingError{Thing: ThingSession, ID: r.Session}}
	}
	terms := Terms{Policy: policy, Applied: r.Applied}
	if policy.Reschedule == PolicyAsk || policy.Cancel == PolicyAsk {
		terms.PendingID = uuid.NewString()
	}
	settled := Settle(before, r.Observation, terms)
	if settled.Verdict == VerdictStale {
		return Outcome{Verdict: VerdictStale, Session: before}
	}
	next, changes := settled.Session, settled.Changes
	sessions[key] = next
	w.pending(settled, stored(r.ReceivedAt))
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
		if before.Request != nil {
			w.first[key] = before
		}
		w.last[key] = l
		w.order = append(w.order, key)
	}
	l.beganAt = *latest(&l.beganAt, stored(r.Observation.ReadAt))
	l.nextVerifyAt = cmp.Or(r.NextVerifyAt, l.nextVerifyAt)
	if r.Cause == CauseNotification {
		l.notifiedAt = *latest(&l.notifiedAt, stored(r.ReceivedAt))
	}
	return Outcome{Verdict: settled.Verdict, Changes: changes, Session: next}
}

// pending notes what a reading means for changes that wait for an answer. One that was opened by a reading before, in this
// very batch, is written as closed.
func (w *writing) pending(settled Settlement, receivedAt time.Time) {
	for _, c := range settled.closed {
		if i := slices.Index(w.opened.Ids, c.id); i >= 0 {
			w.opened.Statuses[i] = string(c.status)
			continue
		}
		w.closed.Ids, w.closed.Statuses = append(w.closed.Ids, c.id), append(w.closed.Statuses, string(c.status))
	}
	p := settled.Opened
	if p == nil {
		return
	}
	occurred := p.OccurredAt
	if occurred.IsZero() {
		occurred = receivedAt
	}
	o := &w.opened
	o.Ids, o.Tenants, o.Sessions = append(o.Ids, p.ID), append(o.Tenants, p.Tenant), append(o.Sessions, p.Session)
	o.Statuses = append(o.Statuses, string(PendingOpen))
	o.Kinds, o.Befores, o.Afters = append(o.Kinds, string(p.Kind)), append(o.Befores, p.Before), append(o.Afters, p.After)
	o.OccurredAt, o.ReceivedAt = append(o.OccurredAt, occurred), append(o.ReceivedAt, receivedAt)
}

// settle notes what became of a session's request.
func (w *writing) settle(before, after Session) {
	was, is := before.Request, after.Request
	if was == nil && is == nil || was != nil && is != nil && was.like(*is) {
		return
	}
	p := &w.requests
	p.Tenants, p.Sessions = append(p.Tenants, after.Tenant), append(p.Sessions, after.ID)
	if is == nil {
		is = &Request{Version: was.Version, Bookings: was.Bookings}
	}
	p.Open, p.Versions = append(p.Open, is.Open), append(p.Versions, is.Version)
	p.Bookings, p.RequestedAt = append(p.Bookings, int64(is.Bookings)), append(p.RequestedAt, is.RequestedAt)
}

// like says whether two requests ask for the same.
func (r Request) like(other Request) bool {
	return r.Version == other.Version && r.Kind == other.Kind && r.Open == other.Open && r.Times == other.Times &&
		r.People == other.People && r.Title == other.Title && r.Bookings == other.Bookings
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
	for _, key := range slices.SortedFunc(maps.Keys(w.first), SessionKey.compare) {
		w.settle(w.first[key], sessions[key])
	}
	if len(w.requests.Tenants) > 0 {
		dbsql.QueueSettleRequests(b, w.requests)
	}
	if len(w.closed.Ids) > 0 {
		dbsql.QueueClosePending(b, w.closed)
	}
	if len(w.opened.Ids) > 0 {
		dbsql.QueueInsertPending(b, w.opened)
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
	none := []byte("null")
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
		intent, err := encodeIntent(s)
		if err != nil {
			return p, err
		}
		if intent == nil {
			intent = none
		}
		p.States, p.Intents = append(p.States, string(s.State)), append(p.Intents, intent)
		p.NotifiedAt, p.BeganAt = append(p.NotifiedAt, l.notifiedAt), append(p.BeganAt, l.beganAt)
		p.NextVerifyAt = append(p.NextVerifyAt, l.nextVerifyAt)
	}
	return p, nil
}

func (k SessionKey) compare(other SessionKey) int {
	return cmp.Or(cmp.Compare(k.Tenant, other.Tenant), cmp.Compare(k.ID, other.ID))
}

func touchedParams(touched map[SessionKey]time.Time) dbsql.TouchSubscriptionsParams {
	keys := slices.SortedFunc(maps.Keys(touched), SessionKey.compare)
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
		p.Applied = append(p.Applied, c.Applied)
	}
	return p
}
