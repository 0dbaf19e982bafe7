package queue

import (
	"context"
	"errors"
	"strconv"
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
			items, n = p.measure(items), 0
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

// measure finds out what a message costs that is sent on its own: for a short while all that comes is sent so, with nothing else
// under way and only as much at a time as is soon worked off. It returns the items that it had no time for.
func (p *Publisher) measure(items []*publishItem) []*publishItem {
	p.alone.Lock()
	defer p.alone.Unlock()
	p.acks.waitBelow(1)
	began, before, sent := time.Now(), p.answered.Load(), 0
	limit := paceLimit(0, 0)
	for {
		for len(items) > 0 && time.Since(began) < paceTime {
			p.acks.waitBelow(limit)
			p.sendSingles(items[:1])
			items, sent = items[1:], sent+1
			limit = paceLimit(int(p.answered.Load()-before), time.Since(began)) //nolint:gosec // A few thousand.
		}
		if len(items) > 0 || time.Since(began) >= paceTime {
			break
		}
		waiting := p.acks.inFlight()
		if items = p.takeWaiting(); len(items) > 0 {
			continue
		}
		if waiting == 0 {
			break // not enough comes in to keep the server busy
		}
		p.acks.waitBelow(waiting) // for an answer, upon which a caller may come again
	}
	p.acks.waitBelow(1)
	p.pace.singles(sent, time.Since(began))
	return items
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
	id, began, open := nuid.Next(), time.Now(), int(p.open.Load())
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
		p.pace.batch(len(items), open, time.Since(began))
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
