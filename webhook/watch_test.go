package webhook

import (
	"testing"
	"time"
)

func TestWatchSeesTheLastTenMinutes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := newWatch(func() time.Time { return now })
	check := func(what string, slow, overdue float64) {
		t.Helper()
		if s, o := w.share(slowAnswer), w.share(overdueAnswer); s != slow || o != overdue {
			t.Errorf("%s: %v over 3 s and %v over 10 s, want %v and %v", what, s, o, slow, overdue)
		}
	}
	check("nothing yet", 0, 0)

	for range 8 {
		w.answered(20 * time.Millisecond)
	}
	w.answered(3 * time.Second) // not over
	w.answered(4 * time.Second)
	check("one in ten slow", 0.1, 0)

	now = now.Add(5 * time.Minute)
	for range 9 {
		w.answered(time.Second)
	}
	w.answered(11 * time.Second)
	check("five minutes on", 0.1, 0.05)

	now = now.Add(5*time.Minute + watchSlot)
	check("the first ones are forgotten", 0.1, 0.1)

	now = now.Add(5 * time.Minute)
	check("all are forgotten", 0, 0)

	now = now.Add(100 * time.Hour)
	w.answered(5 * time.Second)
	check("an old slot is used again", 1, 0)
}

func TestWatchIsCheap(t *testing.T) {
	w := newWatch(time.Now)
	if n := testing.AllocsPerRun(100, func() { w.answered(time.Second) }); n != 0 {
		t.Errorf("%v allocations an answer", n)
	}
}
