package simulator

import (
	"container/heap"
	"time"
)

// schedule hands things out in order of their time. Its user locks it.
type schedule[T any] struct {
	heap entries[T]
	seq  int
}

type entry[T any] struct {
	at   time.Time
	seq  int
	what T
}

type entries[T any] []entry[T]

// Len is for container/heap.
func (e entries[T]) Len() int { return len(e) }

// Less orders by time, and by arrival within one instant.
func (e entries[T]) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].seq < e[j].seq
	}
	return e[i].at.Before(e[j].at)
}

// Swap is for container/heap.
func (e entries[T]) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is for container/heap.
func (e *entries[T]) Push(x any) { *e = append(*e, x.(entry[T])) }

// Pop is for container/heap.
func (e *entries[T]) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = entry[T]{}
	*e = (*e)[:last]
	return x
}

func (s *schedule[T]) push(at time.Time, what T) {
	s.seq++
	heap.Push(&s.heap, entry[T]{at: at, seq: s.seq, what: what})
}

// pop returns the next thing whose time has come.
func (s *schedule[T]) pop(now time.Time) (entry[T], bool) {
	if len(s.heap) == 0 || s.heap[0].at.After(now) {
		return entry[T]{}, false
	}
	return heap.Pop(&s.heap).(entry[T]), true
}

// next is the earliest time, zero when there is none.
func (s *schedule[T]) next() time.Time {
	if len(s.heap) == 0 {
		return time.Time{}
	}
	return s.heap[0].at
}
