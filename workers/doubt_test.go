package workers

import (
	"testing"
	"time"

	"pairsync/model"
)

func TestDoubtAbout(t *testing.T) {
	t.Parallel()
	hint := func(second int, key string) model.Hint {
		return model.Hint{ChangeType: model.ChangeUpdated, ChangeKey: key, ReceivedAt: at(9, 0).Add(time.Duration(second) * time.Second)}
	}
	deleted := hint(2, "")
	deleted.ChangeType = model.ChangeDeleted
	stored := model.Session{ChangeKey: "k1"}
	read := func(key string) model.Observation {
		return model.Observation{Found: true, ChangeKey: key, ReadAt: at(9, 0).Add(3 * time.Second)}
	}
	cancelled := read("k2")
	cancelled.Cancelled = true
	late := read("k2")
	late.ReadAt = at(9, 2)
	tests := map[string]struct {
		hints []model.Hint
		read  model.Observation
		want  doubt
	}{
		"the version read is the one named":                {[]model.Hint{hint(1, "k2")}, read("k2"), doubtNone},
		"the version named is stored already":              {[]model.Hint{hint(1, "k1")}, read("k2"), doubtNone},
		"many hints of one version":                        {[]model.Hint{hint(1, "k2"), hint(2, "k2"), hint(3, "k2")}, read("k2"), doubtNone},
		"an older hint names a version that was not seen":  {[]model.Hint{hint(1, "k3"), hint(2, "k2")}, read("k2"), doubtWeak},
		"the newest hint names a version that isn't there": {[]model.Hint{hint(1, "k2"), hint(2, "k3")}, read("k2"), doubtStrong},
		"the reading shows only what was stored":           {[]model.Hint{hint(1, "k2")}, read("k1"), doubtStrong},
		"no version named, and there is news":              {[]model.Hint{hint(1, "")}, read("k2"), doubtNone},
		"no version named, and there is none":              {[]model.Hint{hint(1, "")}, read("k1"), doubtStrong},
		"deleted, and still there":                         {[]model.Hint{hint(1, "k2"), deleted}, read("k2"), doubtStrong},
		"deleted, and gone":                                {[]model.Hint{hint(1, "k2"), deleted}, notFound(at(9, 1)), doubtNone},
		"deleted, and cancelled":                           {[]model.Hint{deleted}, cancelled, doubtNone},
		"so old that no copy can lag behind it":            {[]model.Hint{hint(1, "k3")}, late, doubtNone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := doubtAbout(tt.hints, []model.Session{stored}, []model.Observation{tt.read})
			if got != tt.want {
				t.Errorf("doubt %d, want %d", got, tt.want)
			}
		})
	}
}

// A series' instances have change keys of their own, so that the master's is never among them.
func TestSeriesIsReadTwiceWhenItsMasterChanged(t *testing.T) {
	t.Parallel()
	hints := []model.Hint{{ChangeType: model.ChangeUpdated, ChangeKey: "master-2", ReceivedAt: at(9, 0)}}
	sessions := []model.Session{{ChangeKey: "a1"}, {ChangeKey: "b1"}}
	read := []model.Observation{{Found: true, ChangeKey: "a2", ReadAt: at(9, 0)}, {ReadAt: at(9, 0)}}
	if got := doubtAbout(hints, sessions, read); got != doubtStrong {
		t.Errorf("doubt %d, want %d", got, doubtStrong)
	}
}
