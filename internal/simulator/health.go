package simulator

import "time"

// health is Graph's view of an endpoint that answers late: more than a tenth of the answers over the first limit within ten
// minutes holds every new notification back for ten minutes, more than 15 % over the later limit drops new ones for ten.
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
type health struct {
	since             time.Time
	total, slow, late int
	slowTill          time.Time
	dropTill          time.Time
	hold              time.Duration
}

// fewest is how many answers a window needs before it is judged, so that one slow answer of two is not half of them.
const fewest = 10

// verdict says how long a notification made now is held back, or that it is lost.
func (h *health) verdict(now time.Time) (hold time.Duration, lost bool) {
	switch {
	case now.Before(h.dropTill):
		return 0, true
	case now.Before(h.slowTill):
		return h.hold, false
	}
	return 0, false
}

func (h *health) record(now time.Time, took time.Duration, late bool, cfg Config) {
	window := cfg.scaled(10 * time.Minute)
	if now.Sub(h.since) > window {
		h.since, h.total, h.slow, h.late = now, 0, 0, 0
	}
	h.total++
	if took > cfg.AckTimeout {
		h.slow++
	}
	if late {
		h.late++
	}
	if h.total < fewest {
		return
	}
	if h.late*100 > h.total*15 {
		h.dropTill = now.Add(window)
		h.since = time.Time{}
	} else if h.slow*10 > h.total {
		h.slowTill, h.hold = now.Add(window), window
	}
}
