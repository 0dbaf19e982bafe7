package queue

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"pairsync/model"
)

// The headers of an atomic batch. Only the commit asks for an answer.
// https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// send publishes what one sender took.
func (p *Publisher) send(ctx context.Context, items []*publishItem) {
	for len(items) > 0 {
		n := min(len(items), p.cfg.MaxBatch)
		switch p.plan() {
		case planSingles:
			p.alone.RLock()
			p.sendSingles(items[:n])
			p.alone.RUnlock()
		case planBatch:
			p.alone.RLock()
			p.sendBatch(ctx, items[:n])
			p.alone.RUnlock()
		case planMeasure:
			items, n = p.measure(items)
		}
		items = items[n:]
	}
}

func (p *Publisher) plan() pacePlan {
	switch {
	case !p.batches.Load() || p.cfg.Mode == PublishAsync:
		return planSingles
	case p.cfg.Mode == PublishBatch:
		return planBatch
	}
	return p.pace.plan(int(p.open.Load()), time.Now())
}

// measure finds out what a message costs that is sent on its own, by sending some of the items, and of what else waits, with
// nothing else under way: one to see the way there and back, and then the others in one go. (The times between confirmations say
// nothing: the server sends them in bunches.) It returns all the items that it has now and how many of them it sent.
func (p *Publisher) measure(items []*publishItem) (all []*publishItem, sent int) {
	p.alone.Lock()
	defer p.alone.Unlock()
	p.acks.waitEmpty()
	want := p.pace.sample()
	if len(items) < want {
		items = append(items, p.takeWaiting()...)
	}
	n := min(len(items), want)
	if n < paceLeast {
		p.pace.tooFew()
		p.sendSingles(items[:n])
		return items, n
	}
	one, okOne := p.timeSingles(items[:1])
	rest, okRest := p.timeSingles(items[1:n])
	if okOne && okRest {
		p.pace.singles(one, n-1, rest)
	}
	return items, n
}

// timeSingles sends the messages one by one and waits for all of them; ok is false when one was not confirmed. The wait ends by
// acks.giveUp at the latest.
func (p *Publisher) timeSingles(items []*publishItem) (took time.Duration, ok bool) {
	b := &burst{open: len(items), done: make(chan struct{})}
	for _, it := range items {
		it.burst = b
	}
	began := time.Now()
	p.sendSingles(items)
	<-b.done
	return time.Since(began), !b.failed
}

// burst watches over messages that are sent in one go.
type burst struct {
	mu     sync.Mutex
	open   int
	failed bool
	done   chan struct{}
}

func (b *burst) answered(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = b.failed || !ok
	if b.open--; b.open == 0 {
		close(b.done)
	}
}

// sendSingles publishes every message on its own and leaves its answer to the message.
func (p *Publisher) sendSingles(items []*publishItem) {
	for _, it := range items {
		if err := p.acks.send(it.msg, it); err != nil {
			it.settle(ack{err: err})
		}
	}
}

// sendAgain publishes one by one the messages of a batch that was refused as such.
func (p *Publisher) sendAgain(items []*publishItem) {
	for _, it := range items {
		for _, h := range [...]string{headerBatchID, headerBatchSequence, headerBatchCommit} {
			delete(it.msg.Header, h)
		}
	}
	p.sendSingles(items)
}

// sendBatch publishes the messages as one atomic batch and waits for the answer to its commit.
func (p *Publisher) sendBatch(ctx context.Context, items []*publishItem) {
	id, began := nuid.Next(), time.Now()
	for i, it := range items {
		it.msg.Header[headerBatchID] = []string{id}
		it.msg.Header[headerBatchSequence] = []string{strconv.Itoa(i + 1)}
		if i == len(items)-1 {
			it.msg.Header[headerBatchCommit] = []string{"1"}
			break
		}
		if err := p.nc.PublishMsg(it.msg); err != nil {
			// Without its commit the server throws the batch away.
			finishAll(items, model.Unconfirmed, err)
			return
		}
	}
	answer := p.await(items[len(items)-1].msg)

	var refused *ackError
	switch {
	case answer.err == nil && answer.Batch == id && answer.Count == len(items):
		p.pace.batch(len(items), time.Since(began))
		finishAll(items, model.Stored, nil)
	case answer.err == nil:
		// A server that knows no batches has stored the commit like any message and answered none of the others. It drops
		// by their ids those that it has.
		p.refuseBatches(ctx)
		p.sendAgain(items)
	case !errors.As(answer.err, &refused):
		finishAll(items, model.Unconfirmed, answer.err)
	case refused.ErrCode == errCodeBatchDisabled:
		p.refuseBatches(ctx)
		p.sendAgain(items)
	case refused.ErrCode == errCodeBatchDuplicate, refused.ErrCode == errCodeBatchTooLarge, refused.ErrCode == errCodeBatchInflight:
		p.sendAgain(items)
	default:
		finishAll(items, model.Unconfirmed, answer.err)
	}
}

// await publishes the message and waits for its answer. The wait ends by acks.giveUp at the latest.
func (p *Publisher) await(m *nats.Msg) ack {
	answers := make(commit, 1)
	if err := p.acks.send(m, answers); err != nil {
		return ack{err: err}
	}
	return <-answers
}

// commit takes the answer to a batch.
type commit chan ack

func (c commit) settle(a ack) { c <- a }
