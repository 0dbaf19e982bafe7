package simulator

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestManyPeopleAtOnce lets people act, clients read and subscriptions come and go at the same time. The race detector and
// the copies' agreement in the end are the judges.
func TestManyPeopleAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{MailboxConcurrency: -1, StateFile: filepath.Join(t.TempDir(), "state.json"), MinLifetime: -1, TimeScale: 1000})
	d := newDoor(t)
	var meetings []Booked
	for range 5 {
		meetings = append(meetings, o.pair(t))
	}
	series := o.series(t)
	o.subscribe(t, d, email("Ada"), immutable())
	const rounds = 30
	var wg sync.WaitGroup
	for i, b := range meetings {
		wg.Go(func() {
			for n := range rounds {
				at := monday().Add(time.Duration(n*10+i) * time.Minute)
				if err := o.Move(b.ID, at, at.Add(time.Hour)); err != nil {
					t.Errorf("moving: %v", err)
				}
			}
		})
		wg.Go(func() {
			for n := range rounds {
				if err := o.Respond(email("Grace"), b.ID, Response{Answer: []string{answerAccepted, answerTentative}[n%2]}); err != nil {
					t.Errorf("answering: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				status, body := o.do(t, o.request(t, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID, nil, immutable()))
				if status != http.StatusOK {
					t.Errorf("reading: %d %v", status, body)
				}
			}
		})
	}
	wg.Go(func() {
		for n := range rounds {
			in := series.Instances[n%4+1]
			if err := o.Touch("", in.ID); err != nil {
				t.Errorf("touching: %v", err)
			}
			o.Counters()
			o.Deliveries(10)
			o.Subscriptions()
		}
	})
	wg.Go(func() {
		for n := range rounds / 3 {
			sub := o.graph(t, 201, http.MethodPost, "/subscriptions", o.wish(t, d, map[string]any{
				"clientState": fmt.Sprint(n), "expirationDateTime": time.Now().Add(time.Second).UTC().Format(graphTime),
			}))
			if n%2 == 0 {
				_, _ = o.do(t, o.request(t, http.MethodDelete, "/subscriptions/"+text(t, sub, "id"), nil))
			}
		}
	})
	wg.Wait()
	o.settle(t)
	for i, b := range meetings {
		org, err := o.Event(b.ID)
		if err != nil {
			t.Fatal(err)
		}
		own, err := o.CopyOf(email("Grace"), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := monday().Add(time.Duration((rounds-1)*10+i) * time.Minute); !org.Start.Equal(want) || !own.Start.Equal(want) {
			t.Errorf("meeting %d stands at %s and %s, want %s", i, org.Start, own.Start, want)
		}
	}
	if c := o.Counters(); c.Pending != 0 || c.Delivered+c.GaveUp != c.Notifications {
		t.Errorf("counters don't add up: %+v", c)
	}
}
