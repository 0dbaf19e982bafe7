package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestNATSIsAway stops NATS, and then kills it, while people are busy. The door says so, Outlook tells again, and everything
// comes in, and out as events.
func TestNATSIsAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir, addr := t.TempDir(), freeAddr(t)
	server := startNATS(t, dir, addr)
	s.env["PAIRSYNC_NATS_URL"] = "nats://" + addr
	p := start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 2)

	for _, end := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = server.ends(t, end)
		refused := s.metric(t.Context(), t, "webhook_request_seconds_count", `code="503"`)
		for _, m := range meetings {
			s.move(t, m)
			s.answer(t, m, s.outlook.sim.Accept, "accepted")
		}
		within(t, "the door to say that it can't", func(ctx context.Context) (bool, error) {
			return s.metric(ctx, t, "webhook_request_seconds_count", `code="503"`) > refused, nil
		})
		if s.metric(t.Context(), t, "notifications_total", `result="unavailable"`) == 0 {
			t.Error("no item counts as unavailable")
		}
		server = startNATS(t, dir, addr)
		s.settled(t)
		s.agree(t, meetings)
		s.ready(t)
	}
	for _, m := range meetings {
		have, err := s.history(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(have, func(c apiChange) bool { return c.Kind != "booked" && c.Cause != "notification" }); i >= 0 {
			t.Errorf("a change came by %s", have[i].Cause)
		}
	}
	s.eventsAgree(t, addr, meetings)
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}

// eventsAgree reads the streams as a platform would and fails unless each thing done is one event, in order, in the shape of
// the contract.
func (s *site) eventsAgree(t *testing.T, addr string, meetings []*meeting) {
	t.Helper()
	nc, err := nats.Connect("nats://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for name, subject := range map[string]string{
		"PAIRSYNC_NOTIFICATIONS": "pairsync.notifications.>", "PAIRSYNC_COMMANDS": "pairsync.commands.>",
		"PAIRSYNC_CHANGES": "pairsync.changes.>", "PAIRSYNC_DEADLETTERS": "pairsync.deadletters.>",
	} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if cfg := stream.CachedInfo().Config; !slices.Equal(cfg.Subjects, []string{subject}) || cfg.Storage != jetstream.FileStorage || cfg.Replicas != 1 {
			t.Errorf("%s has %v, %s, %d replicas", name, cfg.Subjects, cfg.Storage, cfg.Replicas)
		}
	}
	total := 0
	for _, m := range meetings {
		total += len(m.did)
	}
	changes, err := js.Stream(t.Context(), "PAIRSYNC_CHANGES")
	if err != nil {
		t.Fatal(err)
	}
	within(t, "all events", func(ctx context.Context) (bool, error) {
		info, err := changes.Info(ctx)
		return err == nil && info.State.Msgs >= uint64(total), err
	})
	bySession := map[string][]string{}
	info, err := changes.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		msg, err := changes.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		id, change := asEvent(t, msg)
		bySession[id] = append(bySession[id], told(change))
	}
	for _, m := range meetings {
		if diff := cmp.Diff(m.did, bySession[m.org.tenant+"."+m.id]); diff != "" {
			t.Errorf("the events of %s (-done +published):\n%s", m.id, diff)
		}
	}
}

// asEvent checks a message of PAIRSYNC_CHANGES against the contract and CloudEvents 1.0.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
func asEvent(t *testing.T, msg *jetstream.RawStreamMsg) (session string, change apiChange) {
	t.Helper()
	var event struct {
		SpecVersion     string    `json:"specversion"`
		ID              string    `json:"id"`
		Source          string    `json:"source"`
		Type            string    `json:"type"`
		Time            time.Time `json:"time"`
		DataContentType string    `json:"datacontenttype"`
		Data            struct {
			apiChange
			ID     string `json:"id"`
			Cursor string `json:"cursor"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &event); err != nil {
		t.Fatal(err)
	}
	words := strings.Split(msg.Subject, ".")
	if len(words) != 5 || words[2] != event.Data.Tenant || words[3] != event.Data.Session || words[4] != event.Data.Kind {
		t.Errorf("the subject %s doesn't say what %+v is", msg.Subject, event.Data)
	}
	if event.SpecVersion != "1.0" || event.ID == "" || event.Source == "" || event.Type == "" || event.Time.IsZero() ||
		event.DataContentType != "application/json" || event.ID != event.Data.ID || event.Data.Cursor == "" {
		t.Errorf("no CloudEvent of a change: %s", msg.Data)
	}
	if msg.Header.Get("Nats-Msg-Id") != event.ID {
		t.Errorf("Nats-Msg-Id is %q, want the change's id %q", msg.Header.Get("Nats-Msg-Id"), event.ID)
	}
	// https://www.w3.org/TR/trace-context/#traceparent-header
	if parent := msg.Header.Get("traceparent"); !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`).MatchString(parent) {
		t.Errorf("traceparent is %q", parent)
	}
	return event.Data.Tenant + "." + event.Data.Session, event.Data.apiChange
}

// TestPostgreSQLIsAway stops PostgreSQL, and then kills it, while people are busy. The door goes on taking notifications,
// the metrics show that they wait, and everything is applied afterwards.
func TestPostgreSQLIsAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := startDatabase(t)
	s.env["PAIRSYNC_DATABASE_URL"] = db.server.URL()
	p := start(t, s.env, "serve")
	s.ready(t)
	meetings := s.meetings(t, 2)

	for _, end := range []func(*testing.T){db.stop, db.kill} {
		end(t)
		refused := s.metric(t.Context(), t, "webhook_request_seconds_count", `code="503"`)
		for _, m := range meetings {
			s.move(t, m)
			s.answer(t, m, s.outlook.sim.Accept, "accepted")
		}
		s.settled(t) // The door has taken all.
		if n := s.metric(t.Context(), t, "webhook_request_seconds_count", `code="503"`); n != refused {
			t.Errorf("the door refused %v POSTs", n-refused)
		}
		waiting := []string{`stream="PAIRSYNC_NOTIFICATIONS"`, `consumer="reconcile"`}
		within(t, "the lag in the metrics", func(ctx context.Context) (bool, error) {
			return s.metric(ctx, t, "queue_pending", waiting...) >= float64(len(meetings)) &&
				s.metric(ctx, t, "queue_oldest_seconds", waiting...) > 1, nil
		})
		err := s.api.do(t.Context(), http.MethodGet, "/changes", nil, nil)
		if refusal, ok := errors.AsType[*apiError](err); !ok || refusal.status != http.StatusServiceUnavailable {
			t.Errorf("the API answers %v", err)
		}
		db.start(t)
		s.agree(t, meetings)
		within(t, "the queue to be empty", func(ctx context.Context) (bool, error) {
			return s.metric(ctx, t, "queue_pending", waiting...) == 0 && s.metric(ctx, t, "queue_oldest_seconds", waiting...) == 0, nil
		})
		s.ready(t)
	}
	for name, want := range map[string]float64{"deadletters": 0, "outbox_pending": 0} {
		within(t, name, func(ctx context.Context) (bool, error) { return s.metric(ctx, t, name) == want, nil })
	}
	if n := s.metric(t.Context(), t, "processing_lag_seconds_sum"); n < 1 {
		t.Errorf("the lag of all changes together is %v s, though they waited", n)
	}
	if status := p.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}
