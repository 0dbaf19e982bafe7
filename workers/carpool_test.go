package workers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pairsync/internal/graph"
)

// road is an Outlook in which every call takes its time, and that counts what is under way.
type road struct {
	takes time.Duration

	mu            sync.Mutex
	calls, batch  int
	weight, worst int
	// hangs are mailboxes whose calls don't end by themselves.
	hangs map[string]bool
}

func (r *road) begin(weight int) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.weight += weight
	r.worst = max(r.worst, r.weight)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.weight -= weight
	}
}

func (r *road) one(ctx context.Context, mb graph.Mailbox, id string) (graph.Event, error) {
	d := r.takes
	if r.hangs[mb.User] {
		d = 30 * time.Second
	}
	if pause(ctx, d) != nil {
		return graph.Event{}, &graph.Error{Kind: graph.KindUnavailable}
	}
	if strings.HasPrefix(id, "gone") {
		return graph.Event{}, gone
	}
	return graph.Event{ID: id}, nil
}

func (r *road) Event(ctx context.Context, mb graph.Mailbox, id string) (graph.Event, error) {
	defer r.begin(1)()
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	return r.one(ctx, mb, id)
}

func (r *road) Events(ctx context.Context, _ string, refs []graph.EventRef) []graph.Result {
	defer r.begin(min(len(refs), vanWeight))()
	r.mu.Lock()
	r.batch++
	r.mu.Unlock()
	results := make([]graph.Result, len(refs))
	var all sync.WaitGroup
	for i, ref := range refs {
		all.Go(func() { results[i].Event, results[i].Err = r.one(ctx, ref.Mailbox, ref.ID) })
	}
	all.Wait()
	return results
}

func (r *road) EventByICalUID(context.Context, graph.Mailbox, string) (graph.Event, error) {
	return graph.Event{}, gone
}

func (r *road) Instances(context.Context, graph.Mailbox, string, time.Time, time.Time) ([]graph.Event, error) {
	return nil, gone
}

// drive reads n events of as many mailboxes at once and gives the errors by event.
func drive(ctx context.Context, c *carpool, n int, mailbox func(i int) string) map[string]error {
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := make(map[string]error)
	for i := range n {
		all.Go(func() {
			id := fmt.Sprintf("event-%d", i)
			if i%10 == 9 {
				id = "gone-" + id
			}
			ev, err := c.event(ctx, graph.Mailbox{Tenant: "t", User: mailbox(i)}, id)
			if err == nil && ev.ID != id {
				err = fmt.Errorf("got %q for %q", ev.ID, id)
			}
			mu.Lock()
			defer mu.Unlock()
			errs[id] = err
		})
	}
	all.Wait()
	return errs
}

func everyOwn(i int) string { return fmt.Sprintf("mailbox-%d", i) }

func TestFewReadingsGoAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &road{takes: 150 * time.Millisecond}
		begun := time.Now()
		drive(t.Context(), newCarpool(r, r, newGate(48, 2*time.Second)), 24, everyOwn)
		if r.batch != 0 || r.calls != 24 || time.Since(begun) != r.takes {
			t.Errorf("%d calls and %d batches in %v", r.calls, r.batch, time.Since(begun))
		}
	})
}

func TestManyReadingsRideTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &road{takes: 150 * time.Millisecond}
		c := newCarpool(r, r, newGate(48, 2*time.Second))
		for id, err := range drive(t.Context(), c, 500, everyOwn) {
			if want := strings.HasPrefix(id, "gone"); want != errors.Is(err, gone) || !want && err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if r.batch < 10 || r.calls+r.batch > 250 {
			t.Errorf("500 readings took %d calls and %d batches", r.calls, r.batch)
		}
		if r.worst > 48 {
			t.Errorf("a tenant weighed %d with 48 places", r.worst)
		}
		if len(c.waiting) != 0 || len(c.gate.doors) != 0 {
			t.Errorf("%d wait and %d doors are remembered when all is done", len(c.waiting), len(c.gate.doors))
		}
	})
}

// A mailbox that hangs holds up those who ride with it once, and from then on itself alone.
func TestSluggishMailboxRidesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &road{takes: 150 * time.Millisecond, hangs: map[string]bool{"hung": true}}
		c := newCarpool(r, r, newGate(48, 2*time.Second))
		var behind sync.WaitGroup
		defer behind.Wait()
		for range 3 {
			behind.Go(func() { _, _ = c.event(t.Context(), graph.Mailbox{Tenant: "t", User: "hung"}, "slow") })
		}
		if err := pause(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		errs := drive(t.Context(), c, 300, func(i int) string {
			if i == 150 {
				return "hung"
			}
			return everyOwn(i)
		})
		for id, err := range errs {
			if err != nil && !errors.Is(err, gone) && id != "event-150" {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

func TestBatchThatHangsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &road{takes: 150 * time.Millisecond, hangs: map[string]bool{"hung": true}}
		c := newCarpool(r, r, newGate(48, 2*time.Second))
		riders := []*rider{c.wait(graph.EventRef{Mailbox: graph.Mailbox{Tenant: "t", User: "hung"}, ID: "slow"})}
		for i := range 3 {
			riders = append(riders, c.wait(graph.EventRef{Mailbox: graph.Mailbox{Tenant: "t", User: everyOwn(i)}, ID: everyOwn(i)}))
		}
		begun := time.Now()
		c.drive(t.Context(), c.board(riders[0], graphBatch))
		if took := time.Since(begun); took != vanTimeout {
			t.Errorf("it took %v", took)
		}
		if _, err := riders[0].arrive(t.Context()); graph.KindOf(err) != graph.KindUnavailable {
			t.Errorf("the reading that hung ended with %v", err)
		}
	})
}

// The one who makes the call may be gone before it ends; the others get their results all the same.
func TestBatchOutlivesItsDriver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &road{takes: time.Second}
		c := newCarpool(r, r, newGate(8, 10*time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		failed := 0
		var mu sync.Mutex
		for i := range 30 {
			own := t.Context()
			if i%2 == 0 {
				own = ctx
			}
			all.Go(func() {
				_, err := c.event(own, graph.Mailbox{Tenant: "t", User: everyOwn(i)}, everyOwn(i))
				mu.Lock()
				defer mu.Unlock()
				if err != nil && i%2 == 1 {
					failed++
				}
			})
		}
		all.Wait()
		if failed != 0 {
			t.Errorf("%d readings failed whose own context lived", failed)
		}
	})
}
