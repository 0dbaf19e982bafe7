package console

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pairsync/model"
)

// feedPage is how many changes are read from the database at once.
const feedPage = 500

// changeLog is what the feed needs of the store.
type changeLog interface {
	Changes(ctx context.Context, tenant string, after int64, limit int) ([]model.Change, error)
	LastCursor(ctx context.Context) (int64, error)
	Listen(ctx context.Context, fn func(payload string), channels ...string) error
}

// feed keeps the recent changes in memory, read once for all streams. A stream that is further behind reads the database
// itself until it has caught up.
type feed struct {
	log     changeLog
	backlog int
	poll    time.Duration
	logger  *slog.Logger
	// look asks for a look at the database; one that waits stands for all.
	look chan struct{}
	// closed is closed when Run has ended.
	closed chan struct{}

	mu sync.RWMutex
	// recent holds every change with floor < cursor <= head, oldest first. Its elements never change, so readers keep
	// slices of it without the lock.
	recent []frame
	floor  int64
	head   int64
	// ready says that floor and head are known.
	ready bool
	// grown is closed, and replaced, when there is something new.
	grown chan struct{}
}

// frame is a change as all streams send it.
type frame struct {
	cursor int64
	tenant string
	bytes  []byte
}

func newFeed(log changeLog, backlog int, poll time.Duration, logger *slog.Logger) *feed {
	return &feed{
		log: log, backlog: backlog, poll: poll, logger: logger,
		look:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		grown:  make(chan struct{}),
	}
}

// Run follows the change log until ctx ends: at every notification, after every reconnect, and now and then anyway.
func (f *feed) Run(ctx context.Context) error {
	defer close(f.closed)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := f.log.Listen(ctx, func(string) { f.poke() }, model.ChannelChanges); err != nil && ctx.Err() == nil {
			return fmt.Errorf("listening for changes: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		f.follow(ctx)
		return nil
	})
	return g.Wait()
}

// poke asks for a look without waiting for it.
func (f *feed) poke() {
	select {
	case f.look <- struct{}{}:
	default:
	}
}

// follow looks until ctx ends. A failed look is tried again after a second, and logged once per outage.
func (f *feed) follow(ctx context.Context) {
	failing := false
	for {
		wait := f.poll
		err := f.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(wait, time.Second)
			if !failing {
				f.logger.LogAttrs(ctx, slog.LevelWarn, "change feed can't be read", slog.Any("error", err))
			}
		case failing:
			f.logger.LogAttrs(ctx, slog.LevelInfo, "change feed can be read again")
		}
		failing = err != nil
		timer := time.NewTimer(wait)
		select {
		case <-f.look:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// runOnce reads everything that is new.
func (f *feed) runOnce(ctx context.Context) error {
	if !f.ready { // written by this goroutine only
		last, err := f.log.LastCursor(ctx)
		if err != nil {
			return fmt.Errorf("reading the last cursor: %w", err)
		}
		// Streams that resume after a restart of this process are mostly a little behind: begin with the recent past.
		f.begin(max(0, last-int64(f.backlog)))
	}
	for {
		changes, err := f.log.Changes(ctx, "", f.head, feedPage)
		if err != nil {
			return fmt.Errorf("reading changes: %w", err)
		}
		frames, err := newFrames(changes)
		if err != nil {
			return err
		}
		f.add(frames)
		if len(changes) < feedPage {
			return nil
		}
	}
}

func (f *feed) begin(cursor int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.floor, f.head, f.ready = cursor, cursor, true
	f.wake()
}

// wake tells every stream that there is something to do. The lock must be held.
func (f *feed) wake() {
	close(f.grown)
	f.grown = make(chan struct{})
}

// add appends frames, forgets the oldest ones, and wakes every stream.
func (f *feed) add(frames []frame) {
	if len(frames) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, frames...)
	f.head = frames[len(frames)-1].cursor
	// Cut only now and then, into a new array: cutting each time would copy all of it for every change.
	if excess := len(f.recent) - f.backlog; excess > f.backlog/2 {
		f.floor = f.recent[excess-1].cursor
		f.recent = slices.Clone(f.recent[excess:])
	}
	f.wake()
}

// view is what a stream sees of the feed from its cursor on.
type view struct {
	// ready is false until the feed has been read for the first time.
	ready bool
	// behind says that some changes after the cursor are no longer in memory; frames is empty then.
	behind bool
	// frames are all changes after the cursor, up to and including the one at head.
	frames []frame
	head   int64
	// grown is closed when there is more to see.
	grown <-chan struct{}
}

// after gives what is in memory behind a cursor.
func (f *feed) after(cursor int64) view {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v := view{ready: f.ready, behind: cursor < f.floor, head: f.head, grown: f.grown}
	if !v.behind {
		i := sort.Search(len(f.recent), func(i int) bool { return f.recent[i].cursor > cursor })
		v.frames = f.recent[i:len(f.recent):len(f.recent)]
	}
	return v
}

// newFrames writes changes as server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html. The JSON
// has no line breaks, so each fits on one data line.
func newFrames(changes []model.Change) ([]frame, error) {
	frames := make([]frame, 0, len(changes))
	for i := range changes {
		data, err := json.Marshal(changes[i])
		if err != nil {
			return nil, fmt.Errorf("encoding a change: %w", err)
		}
		frames = append(frames, frame{
			cursor: changes[i].Cursor,
			tenant: changes[i].Tenant,
			bytes:  fmt.Appendf(nil, "id: %d\nevent: change\ndata: %s\n\n", changes[i].Cursor, data),
		})
	}
	return frames, nil
}
