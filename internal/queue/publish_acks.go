package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// JetStream's error codes that the publisher branches on.
const (
	errCodeBatchDisabled  = 10174
	errCodeBatchTooLarge  = 10199
	errCodeBatchDuplicate = 10201
	errCodeBatchInflight  = 10210
)

var (
	errAckTimeout    = errors.New("jetstream did not confirm in time")
	errDisconnected  = errors.New("not connected to nats")
	errNoStream      = errors.New("no stream takes the subject")
	errForeignStream = errors.New("another stream took the message")
)

// ackError is JetStream's refusal of a message or a batch.
type ackError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error names the server's error code and words.
func (e *ackError) Error() string {
	return fmt.Sprintf("jetstream refused (%d, %d): %s", e.Code, e.ErrCode, e.Description)
}

// ack is JetStream's answer to one message, or to the commit of a batch.
type ack struct {
	Stream    string    `json:"stream"`
	Duplicate bool      `json:"duplicate"`
	Batch     string    `json:"batch"`
	Count     int       `json:"count"`
	Refused   *ackError `json:"error"`
	// err is set when there was no answer, or none that means stored.
	err error
}

// settler is told once what became of a message that was sent.
type settler interface{ settle(a ack) }

// flight is one sent message that waits for its answer.
type flight struct {
	to   settler
	sent time.Time
}

// acks brings JetStream's answers to whom they concern: one subscription for all, and neither a channel nor a timer a message,
// which is what makes a message cheaper here than through the client's PublishAsync.
type acks struct {
	nc     *nats.Conn
	stream string
	prefix string
	window int

	mu      sync.Mutex
	room    sync.Cond // something has settled
	waiting map[uint64]flight
	last    uint64
	sub     *nats.Subscription
}

func newAcks(nc *nats.Conn, stream string, window int) *acks {
	a := &acks{nc: nc, stream: stream, window: window, prefix: nc.NewInbox() + ".", waiting: make(map[uint64]flight)}
	a.room.L = &a.mu
	return a
}

// listen subscribes; nats.go renews the subscription after a reconnect.
func (a *acks) listen() error {
	sub, err := a.nc.Subscribe(a.prefix+"*", a.answer)
	if err != nil {
		return fmt.Errorf("subscribing for confirmations: %w", err)
	}
	a.sub = sub
	return nil
}

// send publishes m and has its answer brought to s. It waits while the window is full, so it must not be called by whom the
// answers wake. On an error s is not told.
func (a *acks) send(m *nats.Msg, s settler) error {
	a.mu.Lock()
	for len(a.waiting) >= a.window {
		a.room.Wait()
	}
	a.last++
	id := a.last
	a.waiting[id] = flight{to: s, sent: time.Now()}
	a.mu.Unlock()

	m.Reply = a.prefix + strconv.FormatUint(id, 36)
	if err := a.nc.PublishMsg(m); err != nil {
		a.take(id)
		return err
	}
	return nil
}

func (a *acks) take(id uint64) (flight, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.waiting[id]
	if ok {
		delete(a.waiting, id)
		a.room.Broadcast()
	}
	return f, ok
}

// waitBelow waits until fewer than n messages wait for their answers.
func (a *acks) waitBelow(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) >= n {
		a.room.Wait()
	}
}

// inFlight is how many messages wait for their answer.
func (a *acks) inFlight() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting)
}

// answer is the subscription's handler.
func (a *acks) answer(m *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.prefix), 36, 64)
	if err != nil {
		return
	}
	f, ok := a.take(id)
	if !ok {
		return // given up already
	}
	f.to.settle(a.read(m))
}

func (a *acks) read(m *nats.Msg) ack {
	if len(m.Data) == 0 && m.Header.Get("Status") != "" {
		return ack{err: errNoStream}
	}
	var answer ack
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return ack{err: fmt.Errorf("reading jetstream's answer: %w", err)}
	}
	switch {
	case answer.Refused != nil:
		answer.err = answer.Refused
	case answer.Stream != a.stream:
		answer.err = errForeignStream
	}
	return answer
}

// giveUp settles with err whatever was sent before the given time and has no answer.
func (a *acks) giveUp(before time.Time, err error) {
	var lost []flight
	a.mu.Lock()
	for id, f := range a.waiting {
		if f.sent.Before(before) {
			lost = append(lost, f)
			delete(a.waiting, id)
		}
	}
	a.room.Broadcast()
	a.mu.Unlock()
	for _, f := range lost {
		f.to.settle(ack{err: err})
	}
}
