package model_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pairsync/model"
)

func withTimeout(tb testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	tb.Helper()
	return context.WithTimeout(tb.Context(), d)
}

// TestFeedSkipsNothing: while many commit at the same time, whoever reads on from the last cursor that they saw has in the end
// seen every change, in the order of cursors, and each session's in the order of versions.
func TestFeedSkipsNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	const sessions, writers, rounds = 12, 6, 15
	for i := range sessions {
		b.link(t, linkOf(fmt.Sprintf("s%d", i)))
	}
	ctx, cancel := withTimeout(t, time.Minute)
	defer cancel()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, limit := range []int{1, 7, 1000} {
		readers.Go(func() { b.follow(ctx, t, limit, done) })
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for round := range rounds {
				var batch []model.Reading
				for i := w % 2; i < sessions; i += 1 + w%3 {
					s := model.Session{Tenant: "t", ID: fmt.Sprintf("s%d", i), EventID: fmt.Sprintf("AAk-s%d", i)}
					n := 1 + round*writers + w
					s.StartsAt, s.EndsAt = tomorrow(9).Add(time.Duration(n)*time.Minute), tomorrow(20)
					batch = append(batch, reading(s, eventOf(s, n)))
				}
				if _, err := b.Commit(ctx, batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
}

// follow reads the feed until all is written and read, and holds it against the table.
func (b *bed) follow(ctx context.Context, t *testing.T, limit int, done <-chan struct{}) {
	t.Helper()
	var seen []int64
	versions := map[string]int64{}
	for last := int64(0); ; {
		finished := false
		select {
		case <-done:
			finished = true
		default:
		}
		changes, err := b.Changes(ctx, "", last, limit)
		if err != nil {
			t.Error(err)
			return
		}
		for _, c := range changes {
			if c.Cursor <= last {
				t.Errorf("cursor %d after %d", c.Cursor, last)
			}
			if versions[c.Session]++; c.Version != versions[c.Session] {
				t.Errorf("version %d of %s is its change number %d", c.Version, c.Session, versions[c.Session])
			}
			last = c.Cursor
			seen = append(seen, c.Cursor)
		}
		if finished && len(changes) == 0 {
			break
		}
	}
	var all []int64
	if err := b.db.QueryRow(ctx, "SELECT array_agg(cursor ORDER BY cursor) FROM changes").Scan(&all); err != nil {
		t.Error(err)
	}
	if !slices.Equal(seen, all) {
		t.Errorf("a reader of %d at a time saw %d changes of %d", limit, len(seen), len(all))
	}
}

// TestACommitWaitsForEarlierCursors: while somebody has drawn a cursor and not yet committed, nobody commits a later one.
func TestACommitWaitsForEarlierCursors(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	quick := b.link(t, linkOf("quick"))
	b.exec(t, "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END'")
	b.exec(t, "CREATE TRIGGER dawdle AFTER INSERT ON changes FOR EACH ROW WHEN (NEW.session = 'slow') EXECUTE FUNCTION dawdle()")
	release := b.hold(t, "SELECT pg_advisory_xact_lock(1)")

	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := b.PutSession(t.Context(), linkOf("slow")); err != nil {
			t.Error(err)
		}
	})
	b.waiting(t, 1, "advisory")
	wg.Go(func() {
		o := eventOf(quick, 1)
		o.StartsAt = tomorrow(8)
		if out, err := b.Commit(t.Context(), []model.Reading{reading(quick, o)}); err != nil || len(out[0].Changes) != 1 {
			t.Errorf("commit: %+v, %v", out, err)
		}
	})
	b.waiting(t, 2, "advisory")
	release()
	wg.Wait()
	changes, err := b.Changes(t.Context(), "", 0, 0)
	if err != nil || len(changes) != 3 || changes[1].Session != "slow" || changes[2].Session != "quick" {
		t.Errorf("feed %+v, %v", changes, err)
	}
}

func TestChangesOfATenant(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.tenant(t, "u")
	for i, tenant := range []string{"t", "u", "t", "u", "t"} {
		l := linkOf(fmt.Sprintf("s%d", i))
		l.Tenant = tenant
		b.link(t, l)
	}
	for _, tt := range []struct {
		tenant string
		skip   int
		limit  int
		want   []string
	}{
		{"", 0, 0, []string{"s0", "s1", "s2", "s3", "s4"}},
		{"", 1, 2, []string{"s1", "s2"}},
		{"t", 0, 10, []string{"s0", "s2", "s4"}},
		{"u", 2, 10, []string{"s3"}},
		{"none", 0, 10, nil},
	} {
		all, err := b.Changes(t.Context(), "", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		after := int64(0)
		if tt.skip > 0 {
			after = all[tt.skip-1].Cursor
		}
		changes, err := b.Changes(t.Context(), tt.tenant, after, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			got = append(got, c.Session)
		}
		equal(t, "sessions", got, tt.want)
		last, err := b.LastCursor(t.Context())
		if err != nil || last != all[4].Cursor {
			t.Errorf("last cursor %d, %v", last, err)
		}
	}
}

func TestSessionChangesPage(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := b.settle(t, b.link(t, linkOf("s")))
	for n := range 3 {
		o := eventOf(s, n+2)
		o.StartsAt = tomorrow(n)
		b.commit(t, reading(s, o))
	}
	var versions []int64
	for after, more := int64(0), true; more; {
		page, err := b.SessionChanges(t.Context(), "t", "s", after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			versions, after = append(versions, c.Version), c.Cursor
		}
		more = len(page) == 3
	}
	equal(t, "versions", versions, []int64{1, 2, 3, 4})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for i := range 4 {
		b.link(t, linkOf(fmt.Sprintf("s%d", i)))
	}
	first, err := b.OutboxBatch(t.Context(), 3)
	if err != nil || len(first) != 3 {
		t.Fatalf("%d changes, %v", len(first), err)
	}
	again, err := b.OutboxBatch(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what is not done comes again", again, first)
	if err := b.OutboxDone(t.Context(), []int64{first[0].Cursor, first[2].Cursor}); err != nil {
		t.Fatal(err)
	}
	rest, err := b.OutboxBatch(t.Context(), 0)
	if err != nil || len(rest) != 2 || rest[0].ID != first[1].ID || rest[1].Session != "s3" {
		t.Errorf("rest %v, %v", rest, err)
	}
}
