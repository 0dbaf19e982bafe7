package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/embedded"
)

// natsProgram is the name under which this test binary is a NATS server: folder and listen address are its arguments.
const natsProgram = "nats-for-tests"

func natsMain() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server, err := embedded.StartNATS(ctx, embedded.NATSConfig{Dir: os.Args[1], Listen: os.Args[2]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("serving")
	<-ctx.Done()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// startNATS starts a NATS server as a process of its own and waits until it serves.
func startNATS(t *testing.T, dir, addr string) *process {
	t.Helper()
	p := startProgram(t, natsProgram, nil, dir, addr)
	p.says(t, "serving")
	return p
}

// database is a PostgreSQL of its own that can be stopped, killed and started again at the same port.
type database struct {
	cfg    embedded.PostgresConfig
	server *embedded.Postgres
}

func startDatabase(t *testing.T) *database {
	t.Helper()
	d := &database{cfg: embedded.PostgresConfig{Dir: dataDir(t), Port: portOf(t, freeAddr(t))}}
	d.start(t)
	t.Cleanup(func() { d.stop(t) })
	return d
}

func (d *database) start(t *testing.T) {
	t.Helper()
	server, err := embedded.StartPostgres(context.WithoutCancel(t.Context()), d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.server = server
}

func (d *database) stop(t *testing.T) {
	t.Helper()
	if err := d.server.Stop(); err != nil {
		t.Error(err)
	}
}

// kill ends the server without a chance to write anything.
func (d *database) kill(t *testing.T) {
	t.Helper()
	home := d.cfg.Dir
	if moved, err := os.ReadFile(filepath.Join(home, "WHERE")); err == nil {
		home = strings.TrimSpace(string(moved))
	}
	content, err := os.ReadFile(filepath.Join(home, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.server.Done()
	_ = d.server.Stop() // Lets go of the folder; that the server did not end well is what was wanted.
}

// meeting is a session and what people did to it, in the words of its history.
type meeting struct {
	org    organisation
	pair   pair
	id     string
	event  string
	start  time.Time
	length time.Duration
	off    bool
	did    []string
}

func (m *meeting) path() string { return "/tenants/" + m.org.tenant + "/sessions/" + m.id }

// meetings books so many meetings for each pair, tells pairsync of them, and waits until each was read and each mailbox is
// subscribed.
func (s *site) meetings(t *testing.T, each int) []*meeting {
	t.Helper()
	var all []*meeting
	boxes := 0
	for _, org := range organisations() {
		tenant := "/tenants/" + org.tenant
		s.put(t, tenant, map[string]string{"name": org.name, "owner_email": "it@" + org.domain, "method": "domain_wide"})
		for _, who := range org.people {
			s.put(t, tenant+"/participants/"+who.id, map[string]string{"email": who.email})
		}
		for _, pair := range org.pairs {
			boxes++
			for i := range each {
				start, end, err := org.slot(time.Now(), 5+i)
				if err != nil {
					t.Fatal(err)
				}
				m := &meeting{org: org, pair: pair, id: fmt.Sprintf("%s-%d", pair.name(), i), start: start, length: end.Sub(start), did: []string{"booked"}}
				if m.event, err = s.outlook.book(pair, start, end); err != nil {
					t.Fatal(err)
				}
				s.put(t, m.path(), map[string]any{
					"organizer": pair.mentor.id, "attendees": []string{pair.mentee.id}, "starts_at": start, "ends_at": end,
					"time_zone": org.zone, "outlook": map[string]string{"event_id": m.event},
				})
				all = append(all, m)
			}
		}
	}
	within(t, "the subscriptions", func(context.Context) (bool, error) { return len(s.outlook.sim.Subscriptions()) == boxes, nil })
	s.settled(t)
	for _, m := range all {
		within(t, "the first reading of "+m.id, func(ctx context.Context) (bool, error) {
			var have apiSession
			err := s.api.do(ctx, http.MethodGet, m.path(), nil, &have)
			return have.Outlook.State == "in_sync", err
		})
	}
	return all
}

func (s *site) put(t *testing.T, path string, body any) {
	t.Helper()
	if err := s.api.do(t.Context(), http.MethodPut, path, body, nil); err != nil {
		t.Fatal(err)
	}
}

// settled waits until the door has taken every notification.
func (s *site) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.outlook.sim.Settled(ctx); err != nil {
		t.Fatalf("notifications are still on their way: %v", err)
	}
}

// move puts the meeting off by an hour.
func (s *site) move(t *testing.T, m *meeting) {
	t.Helper()
	m.start = m.start.Add(time.Hour)
	if err := s.outlook.sim.Move(m.event, m.start, m.start.Add(m.length)); err != nil {
		t.Fatal(err)
	}
	m.did = append(m.did, "rescheduled to "+m.start.UTC().Format(time.RFC3339))
}

// answer has the mentee answer.
func (s *site) answer(t *testing.T, m *meeting, say func(person, event string) error, response string) {
	t.Helper()
	if err := say(m.pair.mentee.email, m.event); err != nil {
		t.Fatal(err)
	}
	m.did = append(m.did, "rsvp_changed to "+response)
}

// cancel has the mentor call it off.
func (s *site) cancel(t *testing.T, m *meeting) {
	t.Helper()
	if err := s.outlook.sim.Cancel(m.event); err != nil {
		t.Fatal(err)
	}
	m.off, m.did = true, append(m.did, "cancelled")
}

// told is a change in the words of meeting.did.
func told(c apiChange) string {
	switch c.Kind {
	case "rescheduled":
		return "rescheduled to " + c.After.StartsAt.UTC().Format(time.RFC3339)
	case "rsvp_changed":
		return "rsvp_changed to " + c.After.RSVP.Response
	}
	return c.Kind
}

// history is all that was written of a session.
func (s *site) history(ctx context.Context, m *meeting) ([]apiChange, error) {
	var page struct {
		Items []apiChange `json:"items"`
	}
	err := s.api.do(ctx, http.MethodGet, m.path()+"/changes?limit=200", nil, &page)
	return page.Items, err
}

// agree waits until every history is as long as what people did, and fails unless each is just that, and each session as
// Outlook has it.
func (s *site) agree(t *testing.T, meetings []*meeting) {
	t.Helper()
	for _, m := range meetings {
		var have []apiChange
		within(t, "all changes of "+m.id, func(ctx context.Context) (bool, error) {
			var err error
			have, err = s.history(ctx, m)
			return len(have) >= len(m.did), err
		})
		var words []string
		for _, change := range have {
			words = append(words, told(change))
		}
		if diff := cmp.Diff(m.did, words); diff != "" {
			t.Errorf("the history of %s (-done +written):\n%s", m.id, diff)
		}
		s.equals(t, m)
	}
}

// equals waits until the session is in sync, and fails unless it is as Outlook has it.
func (s *site) equals(t *testing.T, m *meeting) {
	t.Helper()
	seen, err := s.outlook.sim.Event(m.event)
	if err != nil {
		t.Fatal(err)
	}
	var have apiSession
	within(t, m.id+" to be in sync", func(ctx context.Context) (bool, error) {
		err := s.api.do(ctx, http.MethodGet, m.path(), nil, &have)
		return have.Outlook.State == "in_sync", err
	})
	status := "scheduled"
	if m.off {
		status = "cancelled"
	}
	if have.Status != status || !have.StartsAt.Equal(seen.Start) || !have.EndsAt.Equal(seen.End) {
		t.Errorf("%s is %+v, and in Outlook %s to %s, %s", m.id, have, seen.Start, seen.End, status)
	}
	answers := map[string]string{"none": "none", "notResponded": "none", "accepted": "accepted", "tentativelyAccepted": "tentative", "declined": "declined"}
	if !m.off && (len(have.Attendees) != 1 || have.Attendees[0].RSVP.Response != answers[seen.Attendees[0].Response]) {
		t.Errorf("the attendees of %s are %+v, and in Outlook %+v", m.id, have.Attendees, seen.Attendees)
	}
}

// metric is the sum of a metric's series that have all the labels; written as they stand in /metrics.
func (s *site) metric(ctx context.Context, t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	return s.metricAt(ctx, t, s.ops, name, labels...)
}

// metricAt is metric for the process with that ops address.
func (s *site) metricAt(ctx context.Context, t *testing.T, ops, name string, labels ...string) float64 {
	t.Helper()
	status, body, err := ask(ctx, t, "http://"+ops+"/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("/metrics answers %d, %v", status, err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(body) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		base, rest, _ := strings.Cut(series, "{")
		if !ok || base != "pairsync_"+name || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+number, true
	}
	if !found {
		t.Fatalf("/metrics has no pairsync_%s with %v", name, labels)
	}
	return sum
}
