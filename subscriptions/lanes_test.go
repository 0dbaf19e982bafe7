package subscriptions

import (
	"testing"
	"time"
)

func TestLanes(t *testing.T) {
	t.Parallel()
	l := newLanes(4)
	var leave []func(time.Time)
	for range 4 {
		done, _ := l.enter("a", noon)
		if done == nil {
			t.Fatal("refused below the width")
		}
		leave = append(leave, done)
	}
	done, first := l.enter("a", noon)
	if done != nil || first.Before(noon.Add(shortestTurn)) {
		t.Fatalf("let in above the width, or told to come at %s", first.Sub(noon))
	}
	var last time.Time
	for range 99 {
		_, last = l.enter("a", noon)
	}
	if want := noon.Add(shortestTurn + 100*firstGuess/4); !last.Equal(want) {
		t.Errorf("the hundredth comes %s later, want %s", last.Sub(noon), want.Sub(noon))
	}
	if other, _ := l.enter("b", noon); other == nil {
		t.Error("another tenant had to wait")
	} else {
		other(noon)
	}
	for _, fn := range leave {
		fn(noon.Add(time.Minute)) // They hung.
	}
	for i := range 3 {
		done, _ := l.enter("a", noon.Add(time.Minute))
		if (done != nil) != (i < narrow) {
			t.Errorf("entry %d of a tenant whose calls hang: %t", i, done != nil)
		}
	}
	if _, ok := l.tenants["b"]; ok {
		t.Error("a lane that nobody uses is kept")
	}
}
