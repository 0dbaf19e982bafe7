package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pairsync/model"
)

// memoryLog is a change log that can fail; its reads are counted.
type memoryLog struct {
	mu      sync.Mutex
	changes []model.Change
	failing error
	reads   int
	notify  func(string)
}

func (l *memoryLog) Changes(_ context.Context, tenant string, after int64, limit int) ([]model.Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	var page []model.Change
	for _, c := range l.changes {
		if c.Cursor > after && (tenant == "" || c.Tenant == tenant) && len(page) < limit {
			page = append(page, c)
		}
	}
	return page, l.failing
}

func (l *memoryLog) LastCursor(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.changes) == 0 {
		return 0, l.failing
	}
	return l.changes[len(l.changes)-1].Cursor, l.failing
}

func (l *memoryLog) Listen(ctx context.Context, fn func(string), _ ...string) error {
	l.mu.Lock()
	l.notify = fn
	l.mu.Unlock()
	fn("")
	<-ctx.Done()
	return nil
}

// commit appends n changes, and tells of them unless quietly.
func (l *memoryLog) commit(n int, quietly bool) {
	l.mu.Lock()
	for range n {
		cursor := int64(10 * (len(l.changes) + 1))
		l.changes = append(l.changes, model.Change{ID: fmt.Sprint(cursor), Cursor: cursor, Tenant: fmt.Sprintf("t-%d", cursor/10%3), Before: json.RawMessage("null"), After: json.RawMessage(`{"a":"b\nc"}`)})
	}
	notify := l.notify
	l.mu.Unlock()
	if !quietly {
		notify("")
	}
}

func (l *memoryLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

func TestFeedKeepsTheRecentPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &memoryLog{}
		log.commit(1200, true)
		f := newFeed(log, 100, time.Minute, slog.New(slog.DiscardHandler))
		if v := f.after(0); v.ready {
			t.Error("the feed is ready before it was read")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		synctest.Wait()
		// Cursors have gaps, so a hundred cursors back are ten changes.
		v := f.after(11_900)
		if !v.ready || v.behind || len(v.frames) != 10 || v.head != 12_000 {
			t.Fatalf("at the start: ready %v, behind %v, %d frames, head %d", v.ready, v.behind, len(v.frames), v.head)
		}
		if v := f.after(11_899); !v.behind || len(v.frames) != 0 {
			t.Errorf("further back: behind %v with %d frames", v.behind, len(v.frames))
		}
		// However many come at once, everything that is in memory is without gaps.
		for n := 1; n < 700; n = n*3 + 1 {
			grown := f.after(0).grown
			log.commit(n, false)
			synctest.Wait()
			select {
			case <-grown:
			default:
				t.Errorf("%d new changes wake nobody", n)
			}
			v := f.after(f.floor)
			want := int(v.head-f.floor) / 10
			if v.behind || len(v.frames) != want || v.head != int64(10*len(log.changes)) || want > 100+500 {
				t.Errorf("after %d more: behind %v, %d frames of %d, head %d", n, v.behind, len(v.frames), want, v.head)
			}
			for i, frame := range v.frames {
				if frame.cursor != f.floor+int64(10*(i+1)) {
					t.Fatalf("frame %d has the cursor %d", i, frame.cursor)
				}
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		select {
		case <-f.closed:
		default:
			t.Error("Run ended and the feed isn't closed")
		}
	})
}

func TestFeedLooksWithoutBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &memoryLog{}
		f := newFeed(log, 100, time.Minute, slog.New(slog.DiscardHandler))
		go func() { _ = f.Run(t.Context()) }()
		synctest.Wait()
		log.commit(1, true)
		<-time.After(time.Minute)
		synctest.Wait()
		if v := f.after(0); len(v.frames) != 1 {
			t.Errorf("%d frames a minute later", len(v.frames))
		}
	})
}

func TestFeedSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		log := &memoryLog{failing: errors.New("away")}
		f := newFeed(log, 100, time.Hour, slog.New(slog.NewTextHandler(&lines, nil)))
		go func() { _ = f.Run(t.Context()) }()
		<-time.After(10 * time.Second)
		synctest.Wait()
		if f.after(0).ready {
			t.Error("the feed is ready without a database")
		}
		log.fail(nil)
		log.commit(3, true)
		<-time.After(2 * time.Second)
		synctest.Wait()
		if v := f.after(0); len(v.frames) != 3 {
			t.Errorf("%d frames after the outage", len(v.frames))
		}
		if n := strings.Count(lines.String(), "\n"); n != 2 {
			t.Errorf("an outage is worth two lines:\n%s", lines.String())
		}
	})
}

func TestFramesAreOneLine(t *testing.T) {
	t.Parallel()
	log := &memoryLog{}
	log.commit(1, true)
	frames, err := newFrames(log.changes)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(frames[0].bytes), "\n")
	if len(lines) != 5 || lines[0] != "id: 10" || lines[1] != "event: change" || !strings.HasPrefix(lines[2], "data: {") || lines[3]+lines[4] != "" {
		t.Errorf("the frame is %q", frames[0].bytes)
	}
}
