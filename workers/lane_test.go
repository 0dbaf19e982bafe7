package workers

import (
	"testing"
	"time"
)

func TestLanesSpreadWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := newLanes(10, 5)
	if taken, _ := l.take("a", 8, false, now); taken != 8 {
		t.Fatalf("took %d of 8", taken)
	}
	taken, again := l.take("a", 7, false, now)
	if taken != 2 {
		t.Fatalf("took %d of 7 with 2 places left", taken)
	}
	if want := now.Add(2 * time.Second); !again.Equal(want) {
		t.Errorf("five come again at %v, want %v", again, want)
	}
	if _, later := l.take("a", 5, false, now); !later.Equal(now.Add(3 * time.Second)) {
		t.Errorf("the next five come again at %v", later)
	}
	if taken, _ := l.take("b", 10, false, now); taken != 10 {
		t.Errorf("another tenant got %d of 10", taken)
	}
	if taken, _ := l.take("a", 3, true, now); taken != 3 {
		t.Errorf("of those just linked %d of 3 were taken", taken)
	}
	if got := l.free(30); got != 7 {
		t.Errorf("%d places are free, want 7", got)
	}
}

func TestLanesForgetQuietTenants(t *testing.T) {
	t.Parallel()
	l := newLanes(10, 5)
	l.take("a", 3, false, time.Now())
	if got := l.outcome("a", false); got != 1 {
		t.Errorf("%d failures after one", got)
	}
	if got := l.outcome("a", false); got != 2 {
		t.Errorf("%d failures after two", got)
	}
	l.done("a", 2)
	l.outcome("a", true)
	l.done("a", 1)
	if len(l.tenants) != 0 {
		t.Error("a tenant with nothing in hand is remembered")
	}
	if got := l.outcome("a", false); got != 0 {
		t.Errorf("a forgotten tenant has %d failures", got)
	}
}
