package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/bench/reconcile/rig"
	"pairsync/internal/queue"
	"pairsync/model"
)

// The reference's sizes, as they were found best: readers, connections that commit, and messages a transaction.
const (
	refReaders    = 64
	refCommitters = 2
	refBatch      = 32
)

// finding is a message whose event was read.
type finding struct {
	msg   jetstream.Msg
	event string
	start time.Time
	end   time.Time
	key   string
	read  time.Time
}

// reference drains with as little as the job needs: a pull consumer, GETs decoded into a lean struct, and up to 32 messages
// in one transaction of two statements (update, audit row) on two connections. It doesn't look whether a session is
// tied, whether the reading is older than what is stored, or what differs; it keeps no outbox, retries nothing and publishes
// nothing.
func reference(ctx context.Context, s *rig.Stage, messages int) (time.Duration, error) {
	js, err := jetstream.New(s.NATS)
	if err != nil {
		return 0, err
	}
	consumer, err := js.Consumer(ctx, queue.StreamNotifications, queue.ConsumerReconcile)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	defer client.CloseIdleConnections()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var workers sync.WaitGroup
	incoming := make(chan jetstream.Msg, 2*refReaders)
	found := make(chan finding, 4*refBatch)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		select {
		case incoming <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessages(2000))
	if err != nil {
		return 0, err
	}
	defer consuming.Stop()
	for range refReaders {
		workers.Go(func() {
			for {
				select {
				case m := <-incoming:
					f, err := read(ctx, client, s.Graph.URL, m)
					if err != nil {
						fail(err)
						return
					}
					found <- f
				case <-ctx.Done():
					return
				}
			}
		})
	}
	for range refCommitters {
		workers.Go(func() { commitAll(ctx, s.Pool, found, fail) })
	}
	err = s.Drained(ctx)
	took := time.Since(begun)
	fail(err)
	go func() {
		for range found { // Lets readers that are about to hand over end.
		}
	}()
	workers.Wait()
	close(found)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return 0, cause
	}
	return took, moved(ctx, s, messages)
}

// moved checks that the reference did its work.
func moved(ctx context.Context, s *rig.Stage, messages int) error {
	var n int
	err := s.Pool.QueryRow(context.WithoutCancel(ctx), "SELECT count(*) FROM changes").Scan(&n)
	if err == nil && n != messages {
		err = fmt.Errorf("%d audit rows of %d notifications", n, messages)
	}
	return err
}

func read(ctx context.Context, client *http.Client, base string, m jetstream.Msg) (finding, error) {
	var h model.Hint
	if err := json.Unmarshal(m.Data(), &h); err != nil {
		return finding{}, err
	}
	f := finding{msg: m, event: h.EventID, read: time.Now()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/users/"+h.Mailbox+"/events/"+h.EventID, nil)
	if err != nil {
		return finding{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return finding{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return finding{}, err
	}
	var ev struct {
		ChangeKey string `json:"changeKey"`
		Start     struct {
			DateTime string `json:"dateTime"`
		} `json:"start"`
		End struct {
			DateTime string `json:"dateTime"`
		} `json:"end"`
	}
	if err := json.Unmarshal(body, &ev); err != nil {
		return finding{}, err
	}
	const layout = "2006-01-02T15:04:05.9999999"
	f.key = ev.ChangeKey
	if f.start, err = time.Parse(layout, ev.Start.DateTime); err != nil {
		return finding{}, err
	}
	f.end, err = time.Parse(layout, ev.End.DateTime)
	return f, err
}

// commitAll commits what waits, up to a batch at a time, and acknowledges it.
func commitAll(ctx context.Context, pool *pgxpool.Pool, found <-chan finding, fail context.CancelCauseFunc) {
	batch := make([]finding, 0, refBatch)
	for {
		batch = batch[:0]
		select {
		case f := <-found:
			batch = append(batch, f)
		case <-ctx.Done():
			return
		}
	gather:
		for len(batch) < refBatch {
			select {
			case f := <-found:
				batch = append(batch, f)
			default:
				break gather
			}
		}
		if err := commit(ctx, pool, batch); err != nil {
			fail(err)
			return
		}
		for _, f := range batch {
			if err := f.msg.Ack(); err != nil {
				fail(err)
				return
			}
		}
	}
}

// commit writes a batch in one transaction: one statement that updates the rows and adds their audit rows.
func commit(ctx context.Context, pool *pgxpool.Pool, batch []finding) error {
	events, keys := make([]string, len(batch)), make([]string, len(batch))
	starts, ends, reads := make([]time.Time, len(batch)), make([]time.Time, len(batch)), make([]time.Time, len(batch))
	for i, f := range batch {
		events[i], keys[i], starts[i], ends[i], reads[i] = f.event, f.key, f.start, f.end, f.read
	}
	_, err := pool.Exec(ctx, `
WITH u AS (
	SELECT unnest($2::text[]) AS event_id, unnest($3::text[]) AS change_key, unnest($4::timestamptz[]) AS starts_at,
		unnest($5::timestamptz[]) AS ends_at, unnest($6::timestamptz[]) AS read_at
), moved AS (
	UPDATE sessions s SET starts_at = u.starts_at, ends_at = u.ends_at, change_key = u.change_key, read_at = u.read_at,
		version = s.version + 1, updated_at = now()
	FROM u WHERE s.tenant = $1 AND s.event_id = u.event_id
	RETURNING s.id, s.version, s.starts_at, u.read_at
)
INSERT INTO changes (cursor, id, tenant, session, version, kind, source, cause, before, after, occurred_at, received_at, applied_at)
SELECT nextval('changes_cursor'), gen_random_uuid(), $1, id, version, 'rescheduled', 'outlook', 'notification', NULL,
	jsonb_build_object('starts_at', starts_at), read_at, read_at, now()
FROM moved`, rig.Tenant, events, keys, starts, ends, reads)
	return err
}
