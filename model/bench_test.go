package model_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pairsync/model"
)

// benchBatch is how many readings wait together on a busy worker.
const benchBatch = 32

// fill links n sessions of 500 organizers, reads each once, and lets the planner know.
func fill(b *testing.B, n int) (*bed, []model.Session) {
	b.Helper()
	bed := newBed(b)
	for i := range 500 {
		bed.participant(b, "t", fmt.Sprintf("o-%d", i), fmt.Sprintf("o%d@contoso.example", i))
	}
	sessions := make([]model.Session, 0, n)
	var readings []model.Reading
	for i := range n {
		l := linkOf(fmt.Sprintf("s%05d", i))
		l.Organizer = fmt.Sprintf("o-%d", i%500)
		s := bed.link(b, l)
		if sessions = append(sessions, s); len(sessions) == 200 {
			bed.exec(b, "ANALYZE") // A plan made for empty tables would be kept until autovacuum comes by.
		}
		readings = append(readings, reading(s, eventOf(s, 1)))
	}
	if _, err := bed.Commit(b.Context(), readings); err != nil {
		b.Fatal(err)
	}
	bed.exec(b, "ANALYZE")
	return bed, sessions
}

// BenchmarkCommit commits readings that each change their session once, in batches, on two connections. One operation is one
// reading.
func BenchmarkCommit(b *testing.B) {
	bed, sessions := fill(b, 4000)
	var version atomic.Int64
	version.Store(2)
	for _, changed := range []bool{true, false} {
		b.Run(fmt.Sprintf("changed=%v", changed), func(b *testing.B) {
			sessions := bed.all(b, len(sessions))
			spread(b, func(batch []int) {
				n := int(version.Add(1))
				readings := make([]model.Reading, 0, len(batch))
				for _, i := range batch {
					s := sessions[i%len(sessions)]
					if changed {
						shift := time.Duration(n%1000+1) * time.Minute
						s.StartsAt, s.EndsAt = s.StartsAt.Add(shift), s.EndsAt.Add(shift)
					}
					readings = append(readings, reading(s, eventOf(s, n)))
				}
				outcomes, err := bed.Commit(b.Context(), readings)
				if err != nil {
					b.Error(err)
					return
				}
				for _, o := range outcomes {
					if o.Err != nil || (o.Verdict == model.VerdictChanged) != changed {
						b.Errorf("outcome %v, %v", o.Verdict, o.Err)
						return
					}
				}
			})
		})
	}
}

// all reads the sessions that fill has linked.
func (b *bed) all(tb testing.TB, n int) []model.Session {
	tb.Helper()
	refs := make([]model.EventRef, 0, n)
	for i := range n {
		refs = append(refs, model.EventRef{Tenant: "t", EventID: fmt.Sprintf("AAk-s%05d", i)})
	}
	tied, err := b.Tied(tb.Context(), refs)
	if err != nil {
		tb.Fatal(err)
	}
	return slices.Concat(tied...)
}

// BenchmarkTied looks up events, half of which are nobody's, in batches, on two connections. One operation is one event.
func BenchmarkTied(b *testing.B) {
	bed, sessions := fill(b, 4000)
	spread(b, func(batch []int) {
		refs := make([]model.EventRef, 0, len(batch))
		for _, i := range batch {
			ref := model.EventRef{Tenant: "t", EventID: sessions[i%len(sessions)].EventID}
			if i%2 == 0 {
				ref.EventID += "x"
			}
			refs = append(refs, ref)
		}
		tied, err := bed.Tied(b.Context(), refs)
		if err != nil {
			b.Error(err)
			return
		}
		for k, i := range batch {
			if len(tied[k]) != i%2 {
				b.Errorf("%d sessions of event %d", len(tied[k]), i)
				return
			}
		}
	})
}

// spread hands the numbers below b.N to two runners in batches, and reports how many are done in a second.
func spread(b *testing.B, run func(batch []int)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !b.Failed() {
				end := int(next.Add(benchBatch))
				start := end - benchBatch
				if start >= b.N {
					return
				}
				batch := make([]int, 0, benchBatch)
				for i := start; i < min(end, b.N); i++ {
					batch = append(batch, i)
				}
				run(batch)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}
