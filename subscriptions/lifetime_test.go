package subscriptions

import (
	"testing"
	"time"
)

func TestCeiling(t *testing.T) {
	t.Parallel()
	const week = 166 * time.Hour
	var c ceiling
	if got := c.clamp(week); got != week {
		t.Errorf("asks %s before anything was learned", got)
	}
	c.refused(week, 10070*time.Minute) // More than was asked makes no sense as a refusal.
	if got := c.clamp(week); got != fallbackLifetime {
		t.Errorf("asks %s after a refusal that makes no sense", got)
	}
	c = ceiling{}
	c.refused(week, 4230*time.Minute)
	if got := c.clamp(week); got != 4225*time.Minute {
		t.Errorf("asks %s of 4,230 minutes", got)
	}
	c.refused(week, 0) // An older refusal that comes late.
	if got := c.clamp(week); got != fallbackLifetime {
		t.Errorf("asks %s", got)
	}
	c.refused(fallbackLifetime, 0)
	if got := c.clamp(week); got != fallbackLifetime/2 {
		t.Errorf("asks %s after the fallback was refused", got)
	}
	c.refused(week, 4230*time.Minute)
	if got := c.clamp(week); got != fallbackLifetime/2 {
		t.Errorf("forgot what it had learned: %s", got)
	}
	c.refused(time.Minute, 20*time.Second)
	if got := c.clamp(week); got != 19*time.Second {
		t.Errorf("asks %s of 20 s", got)
	}
	if got := c.clamp(time.Second); got != time.Second {
		t.Errorf("asks %s where a second is wanted", got)
	}
}
