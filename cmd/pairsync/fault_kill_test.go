package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKilledThreeTimesAmidChanges kills the process, with its NATS and its PostgreSQL, while people are busy, three times.
// People go on while it is down. Afterwards each thing that anybody did stands once in the history of its session, and once
// in the feed of all.
func TestKilledThreeTimesAmidChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 4)

	pace := time.NewTicker(15 * time.Millisecond)
	defer pace.Stop()
	for round := range 3 {
		for i, m := range meetings {
			<-pace.C
			if round == 2 && i%2 == 1 {
				s.cancel(t, m)
			} else {
				s.move(t, m)
				<-pace.C
				s.answer(t, m, s.outlook.sim.Accept, "accepted")
			}
			if i == 2+5*round { // Somewhat later each time.
				p.kill(t)
			}
		}
		p = start(t, s.env, "serve")
		s.ready(t)
		s.agree(t, meetings)
	}

	var feed struct {
		Items []struct {
			apiChange
			ID     string `json:"id"`
			Cursor string `json:"cursor"`
		} `json:"items"`
	}
	if err := s.api.do(t.Context(), http.MethodGet, "/changes?limit=500", nil, &feed); err != nil {
		t.Fatal(err)
	}
	ids, bySession, total := map[string]bool{}, map[string][]string{}, 0
	for _, change := range feed.Items {
		ids[change.ID] = true
		bySession[change.Session] = append(bySession[change.Session], told(change.apiChange))
	}
	for _, m := range meetings {
		total += len(m.did)
		if diff := cmp.Diff(m.did, bySession[m.id]); diff != "" {
			t.Errorf("the feed's share of %s (-done +written):\n%s", m.id, diff)
		}
	}
	if len(feed.Items) != total || len(ids) != total {
		t.Errorf("the feed has %d changes with %d ids, want %d", len(feed.Items), len(ids), total)
	}
	if dead := s.metric(t.Context(), t, "deadletters"); dead != 0 {
		t.Errorf("%v dead letters", dead)
	}
}
