package coalesce_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pairsync/internal/coalesce"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// double takes a second for a batch, and remembers the batches.
type double struct {
	mu      sync.Mutex
	batches [][]int
}

func (d *double) do(ctx context.Context, batch []int) ([]int, error) {
	d.mu.Lock()
	d.batches = append(d.batches, slices.Clone(batch))
	d.mu.Unlock()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := make([]int, len(batch))
	for i, n := range batch {
		out[i] = 2 * n
	}
	return out, nil
}

// run starts the group and returns what ends it and waits.
func run[T, R any](t *testing.T, g *coalesce.Group[T, R]) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := g.Run(ctx); err != nil {
			t.Errorf("Run returned %v", err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestALoneCallDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d double
		g := coalesce.New(coalesce.Config{MaxBatch: 10}, d.do)
		defer run(t, g)()
		begun := time.Now()
		got, err := g.Do(t.Context(), 21)
		if err != nil || got != 42 {
			t.Fatalf("got %d, %v", got, err)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it took %v, the work alone takes 1s", took)
		}
	})
}

func TestWhatWaitsTogetherIsDoneTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d double
		g := coalesce.New(coalesce.Config{MaxBatch: 4}, d.do)
		stop := run(t, g)
		var callers sync.WaitGroup
		call := func(n int) {
			callers.Go(func() {
				if got, err := g.Do(t.Context(), n); err != nil || got != 2*n {
					t.Errorf("Do(%d) is %d, %v", n, got, err)
				}
			})
			synctest.Wait() // One after another, so that the order is known.
		}
		for n := range 8 {
			call(n)
		}
		callers.Wait()
		stop()
		if diff := cmp.Diff([][]int{{0}, {1, 2, 3, 4}, {5, 6, 7}}, d.batches); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

func TestRunnersWorkSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d double
		g := coalesce.New(coalesce.Config{Runners: 2, MaxBatch: 3}, d.do)
		defer run(t, g)()
		begun := time.Now()
		got, err := g.DoAll(t.Context(), []int{1, 2, 3, 4, 5, 6})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{2, 4, 6, 8, 10, 12}, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("two batches for two runners took %v", took)
		}
	})
}

func TestEndFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d double
		g := coalesce.New(coalesce.Config{MaxBatch: 1}, d.do)
		stop := run(t, g)
		var callers sync.WaitGroup
		for n := range 3 {
			callers.Go(func() {
				if _, err := g.Do(t.Context(), n); err != nil {
					t.Errorf("an accepted item: %v", err)
				}
			})
		}
		synctest.Wait()
		stop()
		callers.Wait()
		if _, err := g.Do(t.Context(), 9); !errors.Is(err, coalesce.ErrClosed) {
			t.Errorf("a late item: %v", err)
		}
		if len(d.batches) != 3 {
			t.Errorf("%d batches", len(d.batches))
		}
	})
}

func TestACallerMayLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d double
		g := coalesce.New(coalesce.Config{MaxBatch: 1}, d.do)
		stop := run(t, g)
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = g.Do(t.Context(), 1) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Do(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := g.Do(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that had ended: %v", err)
		}
		callers.Wait()
		stop()
		if diff := cmp.Diff([][]int{{1}}, d.batches); diff != "" {
			t.Errorf("what nobody waits for was done (-want +got):\n%s", diff)
		}
	})
}

func TestAFailureIsEverybodysInTheBatch(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		do   func(context.Context, []int) ([]int, error)
		want string
	}{
		"error":           {func(context.Context, []int) ([]int, error) { return nil, broken }, "broken"},
		"too few results": {func(context.Context, []int) ([]int, error) { return nil, nil }, "coalesce: 0 results for 2 items"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := coalesce.New(coalesce.Config{}, c.do)
			defer run(t, g)()
			if _, err := g.DoAll(t.Context(), []int{1, 2}); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if got, err := g.DoAll(t.Context(), nil); got != nil || err != nil {
				t.Errorf("no items: %v, %v", got, err)
			}
		})
	}
}

// TestEveryCallerGetsItsOwn is for the race detector, and for ends in the middle of everything.
func TestEveryCallerGetsItsOwn(t *testing.T) {
	t.Parallel()
	var done atomic.Int64
	g := coalesce.New(coalesce.Config{Runners: 3, MaxBatch: 7}, func(_ context.Context, batch []int) ([]int, error) {
		done.Add(int64(len(batch)))
		return slices.Clone(batch), nil
	})
	stop := run(t, g)
	var callers sync.WaitGroup
	var answered atomic.Int64
	for c := range 32 {
		callers.Go(func() {
			for i := range 200 {
				n := c*1000 + i
				got, err := g.DoAll(t.Context(), []int{n, -n})
				if errors.Is(err, coalesce.ErrClosed) {
					return
				}
				if err != nil || got[0] != n || got[1] != -n {
					t.Errorf("DoAll(%d) is %v, %v", n, got, err)
				}
				if answered.Add(1) == 1000 {
					go stop()
				}
			}
		})
	}
	callers.Wait()
	stop()
	if done.Load() != 2*answered.Load() {
		t.Errorf("%d items done, %d answered", done.Load(), 2*answered.Load())
	}
}

// BenchmarkDo shows what a call costs when the work costs nothing.
func BenchmarkDo(b *testing.B) {
	g := coalesce.New(coalesce.Config{Runners: 2, MaxBatch: 500}, func(_ context.Context, batch []int) ([]int, error) {
		return slices.Clone(batch), nil
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Run(ctx) }()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := g.Do(ctx, 1); err != nil {
				b.Error(err)
			}
		}
	})
	cancel()
	<-done
}

// TestABatchIsDoneInTheNameOfItsFirst hands the first caller's values to do, which outlives that caller.
func TestABatchIsDoneInTheNameOfItsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type name struct{}
		first, leave := context.WithCancel(context.WithValue(t.Context(), name{}, "ada"))
		g := coalesce.New(coalesce.Config{}, func(ctx context.Context, batch []int) ([]int, error) {
			leave()
			if who := ctx.Value(name{}); who != "ada" || len(batch) != 2 {
				t.Errorf("%v was done in the name of %v", batch, who)
			}
			return batch, ctx.Err()
		})
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = g.Do(first, 1) })
		synctest.Wait() // It waits in the queue.
		callers.Go(func() {
			if _, err := g.Do(context.WithValue(t.Context(), name{}, "grace"), 2); err != nil {
				t.Errorf("the second suffers from the first one's going: %v", err)
			}
		})
		synctest.Wait()
		stop := run(t, g)
		callers.Wait()
		stop()
	})
}
