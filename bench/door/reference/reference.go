// Package reference holds two small doors that were written only to find the limit of what the machine can do: they parse a
// POST, make its items durable and answer, and leave out all else that a door must do: no proof of the items, no metrics, no
// traces, no bounds, no time-outs.
package reference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const subject = "pairsync.notifications.reference.reference"

// maxBatch is the most messages that the server takes in an atomic batch.
const maxBatch = 1000

type post struct {
	Value []item `json:"value"`
}

type item struct {
	SubscriptionID string       `json:"subscriptionId"`
	ChangeType     string       `json:"changeType"`
	Resource       string       `json:"resource"`
	ClientState    string       `json:"clientState"`
	TenantID       string       `json:"tenantId"`
	ResourceData   resourceData `json:"resourceData"`
}

type resourceData struct {
	ID   string `json:"id"`
	Etag string `json:"@odata.etag"`
}

func (it *item) messageID() string {
	return it.SubscriptionID + it.ChangeType + it.ResourceData.ID + it.ResourceData.Etag
}

// messages reads a POST and makes a message of each item.
func messages(r *http.Request, ids bool) ([]*nats.Msg, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var p post
	if err := jsonv2.Unmarshal(body, &p, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, err
	}
	msgs := make([]*nats.Msg, len(p.Value))
	for i := range p.Value {
		data, err := jsonv2.Marshal(&p.Value[i])
		if err != nil {
			return nil, err
		}
		msgs[i] = &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
		if ids {
			msgs[i].Header[jetstream.MsgIDHeader] = []string{p.Value[i].messageID()}
		}
	}
	return msgs, nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// Async publishes every item as a message of its own through the client's asynchronous publishing.
func Async(nc *nats.Conn) (http.Handler, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		msgs, err := messages(r, true)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer(w, publishAsync(js, msgs))
	}), nil
}

func publishAsync(js jetstream.JetStream, msgs []*nats.Msg) error {
	futures := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		f, err := js.PublishMsgAsync(m)
		if err != nil {
			return err
		}
		futures[i] = f
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		}
	}
	return nil
}

// group collects the items of many POSTs.
type group struct {
	nc      *nats.Conn
	mu      sync.Mutex
	more    sync.Cond
	waiting []waiting
	ended   bool
}

type waiting struct {
	msgs []*nats.Msg
	done chan error
}

// GroupCommit publishes what waits as one atomic batch, two batches at a time. Its publishers end with ctx.
func GroupCommit(ctx context.Context, nc *nats.Conn) http.Handler {
	g := &group{nc: nc}
	g.more.L = &g.mu
	for range 2 {
		go g.run(ctx)
	}
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ended = true
		g.more.Broadcast()
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		msgs, err := messages(r, false)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		done := make(chan error, 1)
		g.mu.Lock()
		g.waiting = append(g.waiting, waiting{msgs, done})
		g.more.Signal()
		g.mu.Unlock()
		answer(w, <-done)
	})
}

func (g *group) run(ctx context.Context) {
	for {
		g.mu.Lock()
		for len(g.waiting) == 0 && !g.ended {
			g.more.Wait()
		}
		if g.ended {
			g.mu.Unlock()
			return
		}
		taken, n := 0, 0
		for taken < len(g.waiting) && n+len(g.waiting[taken].msgs) <= maxBatch {
			n += len(g.waiting[taken].msgs)
			taken++
		}
		batch := g.waiting[:taken:taken]
		g.waiting = g.waiting[taken:]
		g.mu.Unlock()
		msgs := make([]*nats.Msg, 0, n)
		for _, w := range batch {
			msgs = append(msgs, w.msgs...)
		}
		err := publishBatch(ctx, g.nc, msgs)
		for _, w := range batch {
			w.done <- err
		}
	}
}

func publishBatch(ctx context.Context, nc *nats.Conn, msgs []*nats.Msg) error {
	if len(msgs) == 0 {
		return errors.New("empty batch")
	}
	id := nuid.Next()
	for i, m := range msgs {
		m.Header["Nats-Batch-Id"] = []string{id}
		m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
		if i < len(msgs)-1 {
			if err := nc.PublishMsg(m); err != nil {
				return err
			}
		}
	}
	last := msgs[len(msgs)-1]
	last.Header["Nats-Batch-Commit"] = []string{"1"}
	reply, err := nc.RequestMsgWithContext(ctx, last)
	if err != nil {
		return err
	}
	var ack struct {
		Count int `json:"count"`
	}
	if err := jsonv2.Unmarshal(reply.Data, &ack); err != nil {
		return err
	}
	if ack.Count != len(msgs) {
		return fmt.Errorf("%d of %d stored: %s", ack.Count, len(msgs), reply.Data)
	}
	return nil
}
