package workers

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"pairsync/internal/graph"
	"pairsync/model"
)

// calendar is the part of Graph that readings need; *graph.Client is one.
type calendar interface {
	Event(ctx context.Context, mb graph.Mailbox, id string) (graph.Event, error)
	EventByICalUID(ctx context.Context, mb graph.Mailbox, uid string) (graph.Event, error)
	Instances(ctx context.Context, mb graph.Mailbox, masterID string, from, to time.Time) ([]graph.Event, error)
}

// seriesReaders is how many instances that are missing from their series are looked for at once.
const seriesReaders = 4

// reader reads the events of sessions from the organizer's mailbox. It believes no single 404 and no revival that shows
// nothing new.
type reader struct {
	calendar calendar
	// patience are the pauses before an event that was not found is asked for again.
	patience []time.Duration
	// confirmAfter is the pause before an event that had vanished is asked for again.
	confirmAfter time.Duration
}

// session reads a session's own event. An error is a failure to read; that there is no such event is an observation.
func (r *reader) session(ctx context.Context, mb graph.Mailbox, s model.Session) (model.Observation, error) {
	o, err := r.look(ctx, mb, s)
	if err != nil {
		return model.Observation{}, err
	}
	return r.settle(ctx, mb, s, o)
}

// settle goes on from a first look until the answer can be believed.
func (r *reader) settle(ctx context.Context, mb graph.Mailbox, s model.Session, first model.Observation) (model.Observation, error) {
	if first.Found {
		return r.confirm(ctx, mb, s, first)
	}
	lookedAt := first.ReadAt
	if s.Status != model.SessionCancelled {
		for _, d := range r.patience {
			if err := pause(ctx, d); err != nil {
				return model.Observation{}, err
			}
			o, err := r.look(ctx, mb, s)
			if err != nil || o.Found {
				return o, err
			}
			lookedAt = o.ReadAt
		}
	}
	o, err := r.elsewhere(ctx, mb, s, lookedAt)
	if err != nil || !o.Found {
		return o, err
	}
	return r.confirm(ctx, mb, s, o)
}

// confirm reads again what had vanished and is found with nothing newer in it than what is stored.
func (r *reader) confirm(ctx context.Context, mb graph.Mailbox, s model.Session, o model.Observation) (model.Observation, error) {
	if !doubtful(s, o) {
		return o, nil
	}
	if err := pause(ctx, r.confirmAfter); err != nil {
		return model.Observation{}, err
	}
	s.EventID = o.EventID
	return r.look(ctx, mb, s)
}

// doubtful says that an event came back from the dead as it was: a copy that lags behind shows deleted events so.
func doubtful(s model.Session, o model.Observation) bool {
	return s.Vanished && o.Found && !o.Cancelled && s.LastModifiedAt != nil && !o.LastModifiedAt.After(*s.LastModifiedAt)
}

// look reads once: by the session's event id, and for an instance of a series through its master too, because instances
// can change their ids.
func (r *reader) look(ctx context.Context, mb graph.Mailbox, s model.Session) (model.Observation, error) {
	readAt := time.Now()
	ev, err := r.calendar.Event(ctx, mb, s.EventID)
	switch {
	case err == nil:
		return observe(ev, readAt)
	case graph.KindOf(err) != graph.KindNotFound:
		return model.Observation{}, err
	case s.SeriesMasterID == "":
		return notFound(readAt), nil
	default:
		return r.throughMaster(ctx, mb, s, s.SeriesMasterID, readAt)
	}
}

// throughMaster looks for a session's instance among those of a series. lookedAt is when the session's own event was looked
// for in vain. That nothing was found is dated by it: an event that came back since must not count as gone since.
func (r *reader) throughMaster(
	ctx context.Context, mb graph.Mailbox, s model.Session, masterID string, lookedAt time.Time,
) (model.Observation, error) {
	readAt := time.Now()
	from, to := window([]model.Session{s})
	instances, err := r.calendar.Instances(ctx, mb, masterID, from, to)
	if graph.KindOf(err) == graph.KindNotFound {
		return notFound(lookedAt), nil
	}
	if err != nil {
		return model.Observation{}, err
	}
	ev, ok := instanceOf(s, instances)
	if !ok {
		return notFound(lookedAt), nil
	}
	return observe(ev, readAt)
}

// elsewhere is the last look, by iCalUId: the event may live on under another id. Instances of a series may share their
// iCalUId, so that an instance counts only if its original start is the session's. lookedAt is as for throughMaster.
func (r *reader) elsewhere(ctx context.Context, mb graph.Mailbox, s model.Session, lookedAt time.Time) (model.Observation, error) {
	readAt := time.Now()
	if s.ICalUID == "" {
		return notFound(lookedAt), nil
	}
	ev, err := r.calendar.EventByICalUID(ctx, mb, s.ICalUID)
	switch {
	case graph.KindOf(err) == graph.KindNotFound:
		return notFound(lookedAt), nil
	case err != nil:
		return model.Observation{}, err
	case s.OriginalStart == nil, ev.OriginalStart.Equal(*s.OriginalStart):
		return observe(ev, readAt)
	case ev.Type == graph.TypeSeriesMaster && ev.ID != s.SeriesMasterID:
		return r.throughMaster(ctx, mb, s, ev.ID, lookedAt)
	default:
		return notFound(lookedAt), nil
	}
}

// series reads the instances that are sessions, all at once through their master. What is not among them is read by itself
// before anything is concluded. The observations stand in the order of sessions.
func (r *reader) series(ctx context.Context, mb graph.Mailbox, masterID string, sessions []model.Session) ([]model.Observation, error) {
	readAt := time.Now()
	from, to := window(sessions)
	instances, err := r.calendar.Instances(ctx, mb, masterID, from, to)
	if err != nil && graph.KindOf(err) != graph.KindNotFound {
		return nil, err
	}
	read := make([]model.Observation, len(sessions))
	var work errgroup.Group
	work.SetLimit(seriesReaders)
	for i, s := range sessions {
		work.Go(func() error {
			o, err := r.instance(ctx, mb, s, instances, readAt)
			read[i] = o
			return err
		})
	}
	return read, work.Wait()
}

// instance is what instances tell of a session, or else its own reading.
func (r *reader) instance(ctx context.Context, mb graph.Mailbox, s model.Session, instances []graph.Event, readAt time.Time) (model.Observation, error) {
	ev, ok := instanceOf(s, instances)
	if !ok {
		return r.session(ctx, mb, s)
	}
	o, err := observe(ev, readAt)
	if err != nil {
		return model.Observation{}, err
	}
	return r.confirm(ctx, mb, s, o)
}
