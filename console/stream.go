package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// errSlow ends a stream whose client doesn't read.
var errSlow = errors.New("the client did not read in time")

// errDatabase ends a stream that is behind and can't be caught up. The client resumes where it was.
var errDatabase = errors.New("the database could not be read")

// catchUps is how many streams read the database at once. They are few, so that a thousand clients that come back at the
// same time leave connections for everybody else.
const catchUps = 4

// serveStream is the change feed as server-sent events. It has no time limit, but each of its writes has one.
func (c *Console) serveStream(w http.ResponseWriter, r *http.Request) {
	c.dispatch(c.streamChanges, w, r)
}

func (c *Console) streamChanges(w http.ResponseWriter, r *http.Request, who principal) error {
	opening, cancel := context.WithTimeout(r.Context(), c.cfg.RequestTimeout)
	s, err := c.openStream(w, r.WithContext(opening), who)
	cancel()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	// Proxies of the nginx family hold answers back unless they are told not to.
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return nil
	}
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		c.metrics.dropped.WithLabelValues(droppedFull).Inc()
		return newProblem(kindUnavailable, fmt.Sprintf("%d streams are open, which is the most this server takes", c.cfg.MaxStreams))
	}
	c.metrics.streams.Inc()
	defer c.metrics.streams.Dec()
	// The deadline of the request's body would end the connection while the stream runs.
	_ = s.control.SetReadDeadline(time.Time{})
	w.WriteHeader(http.StatusOK)
	c.streamEnded(r, who, s.run(r.Context()))
	return nil
}

// openStream finds where the stream begins: behind Last-Event-ID, else behind ?after=, else now.
func (c *Console) openStream(w http.ResponseWriter, r *http.Request, who principal) (*stream, error) {
	q := readQuery(r, "after", "cursor", "tenant")
	s := &stream{c: c, w: w, control: http.NewResponseController(w), cursor: q.feedCursor("after", "cursor")}
	if q.first != nil {
		return nil, q.first
	}
	resumes := q.text("after") != "" || q.text("cursor") != ""
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		cursor, ok := parseFeedCursor(id)
		if !ok {
			return nil, malformed("Last-Event-ID", "must be the id of an event of this stream")
		}
		s.cursor, resumes = cursor, true
	}
	var err error
	if s.tenant, err = c.feedTenant(r, q, who); err != nil {
		return nil, err
	}
	// Ahead of everything that was ever committed is a cursor of another database, such as one restored from a backup.
	if !resumes || s.cursor > c.feed.after(s.cursor).head {
		last, err := c.feed.log.LastCursor(r.Context())
		if err != nil {
			return nil, fmt.Errorf("reading the last cursor: %w", err)
		}
		if !resumes || s.cursor > last {
			s.cursor = last
		}
	}
	return s, nil
}

// streamEnded counts and logs a stream that we ended.
func (c *Console) streamEnded(r *http.Request, who principal, err error) {
	var reason string
	switch {
	case errors.Is(err, errSlow):
		reason = droppedSlow
	case errors.Is(err, errDatabase):
		reason = droppedDatabase
	default:
		return
	}
	c.metrics.dropped.WithLabelValues(reason).Inc()
	c.log.LogAttrs(r.Context(), slog.LevelInfo, "stream dropped", slog.String("token", who.name), slog.Any("error", err))
}

// stream is one client of the feed.
type stream struct {
	c       *Console
	w       http.ResponseWriter
	control *http.ResponseController
	// tenant is the only tenant whose changes are sent; empty for all.
	tenant string
	// cursor is the place in the feed up to which everything was sent that is to be sent.
	cursor int64
}

// run sends what is new until the client leaves, reads too slowly, or the feed ends.
func (s *stream) run(ctx context.Context) error {
	// Tell clients to come back quickly, and send something, so that they see the stream is open.
	if err := s.send([]byte("retry: 1000\n: open\n\n")); err != nil {
		return err
	}
	heartbeat := time.NewTicker(s.c.cfg.Heartbeat)
	defer heartbeat.Stop()
	for !s.over(ctx) {
		grown, err := s.catchUp(ctx)
		if err != nil {
			return err
		}
		select {
		case <-grown:
		case <-heartbeat.C:
			if err := s.send([]byte(": heartbeat\n\n")); err != nil {
				return err
			}
		case <-ctx.Done():
		case <-s.c.feed.closed:
		}
	}
	return nil
}

// catchUp sends everything behind the cursor and returns what is closed when there is more.
func (s *stream) catchUp(ctx context.Context) (<-chan struct{}, error) {
	for {
		view := s.c.feed.after(s.cursor)
		if !view.ready {
			return view.grown, nil
		}
		frames, head := view.frames, view.head
		if view.behind {
			var err error
			if frames, head, err = s.older(ctx, head); err != nil {
				return nil, err
			}
		}
		if err := s.sendAll(frames); err != nil {
			return nil, err
		}
		s.cursor = max(s.cursor, head)
		if !view.behind || s.over(ctx) {
			return view.grown, nil
		}
	}
}

// over says whether there is nobody to send to, or nothing to send, any more.
func (s *stream) over(ctx context.Context) bool {
	select {
	case <-s.c.feed.closed:
		return true
	default:
		return ctx.Err() != nil
	}
}

// older reads a page of changes that are no longer in memory, and says up to where the feed has been seen with it. If the page is
// the last one, that is head, since head was in the database before the page was read.
func (s *stream) older(ctx context.Context, head int64) ([]frame, int64, error) {
	select {
	case s.c.catchUps <- struct{}{}:
		defer func() { <-s.c.catchUps }()
	case <-ctx.Done():
		return nil, 0, nil
	case <-s.c.feed.closed:
		return nil, 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.RequestTimeout)
	defer cancel()
	changes, err := s.c.feed.log.Changes(ctx, s.tenant, s.cursor, feedPage)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errDatabase, err)
	}
	frames, err := newFrames(changes)
	if err != nil {
		return nil, 0, err
	}
	if n := len(changes); n == feedPage {
		head = changes[n-1].Cursor
	} else if n > 0 {
		head = max(head, changes[n-1].Cursor)
	}
	return frames, head, nil
}

// sendAll sends the frames that are this stream's, many in one write.
func (s *stream) sendAll(frames []frame) error {
	const most = 64 << 10
	var buf []byte
	for i := range frames {
		if s.tenant != "" && frames[i].tenant != s.tenant {
			continue
		}
		buf = append(buf, frames[i].bytes...)
		if len(buf) >= most {
			if err := s.send(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	if len(buf) == 0 {
		return nil
	}
	return s.send(buf)
}

// send writes and flushes within the time that a client is given.
func (s *stream) send(p []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.c.cfg.WriteTimeout))
	if _, err := s.w.Write(p); err != nil { //nolint:gosec // An event stream of JSON, with nosniff: no browser takes it for a page.
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	return nil
}
