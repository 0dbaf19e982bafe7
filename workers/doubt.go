package workers

import (
	"slices"
	"time"

	"pairsync/model"
)

// doubt is how likely it is that a reading came from a copy of the mailbox that lags behind what the hints speak of.
type doubt uint8

// The doubts, weakest first.
const (
	// doubtNone: the reading explains every hint.
	doubtNone doubt = iota
	// doubtWeak: an older hint speaks of a version that was not seen; most likely it came before the one that was read.
	doubtWeak
	// doubtStrong: the newest hint speaks of something that the reading doesn't show.
	doubtStrong
)

// staleFor is how long a copy is trusted to lag behind at most. Hints older than that when the reading began are explained
// by any reading.
const staleFor = 30 * time.Second

// doubtAbout weighs what was read of one event against the hints that made us read it. before are the sessions as they
// were stored, read what was then observed, one for each.
//
// Graph names no order of its hints, and change keys have none. So a version that was never seen may be an older one
// or one that the reading missed; reading once more, a little later, tells.
func doubtAbout(hints []model.Hint, before []model.Session, read []model.Observation) doubt {
	keys := make([]string, 0, 2*len(read))
	gone, news := true, false
	var readAt time.Time
	for i, o := range read {
		keys = append(keys, before[i].ChangeKey, o.ChangeKey)
		gone = gone && (!o.Found || o.Cancelled)
		news = news || o.Found && o.ChangeKey != before[i].ChangeKey
		readAt = later(readAt, o.ReadAt)
	}
	var newest time.Time
	for _, h := range hints {
		newest = later(newest, h.ReceivedAt)
	}
	found := doubtNone
	for _, h := range hints {
		if explains(h, keys, gone, news) || readAt.Sub(h.ReceivedAt) > staleFor {
			continue
		}
		if !h.ReceivedAt.Before(newest) {
			return doubtStrong
		}
		found = doubtWeak
	}
	return found
}

// explains says whether a reading accounts for a hint. An event that is gone accounts for all of them. A deletion is only
// explained by that. A hint that names no version is explained by any news.
func explains(h model.Hint, keys []string, gone, news bool) bool {
	switch {
	case gone:
		return true
	case h.ChangeType == model.ChangeDeleted:
		return false
	case h.ChangeKey == "":
		return news
	default:
		return slices.Contains(keys, h.ChangeKey)
	}
}
