package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// watchEvery is how often messages without an answer and the connection's state are looked at.
const watchEvery = 250 * time.Millisecond

// Run sends what Publish is given until ctx ends, then sends what was accepted, waits for the answers and returns nil. It fails
// only when it can't subscribe for answers at all.
func (p *Publisher) Run(ctx context.Context) error {
	statuses := p.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer p.nc.RemoveStatusListener(statuses)
	if err := p.acks.listen(); err != nil {
		return err
	}
	defer func() { _ = p.acks.sub.Unsubscribe() }() // fails only on a closed connection

	work := context.WithoutCancel(ctx)
	p.look(work)
	var senders sync.WaitGroup
	for range batchPublishers {
		senders.Go(func() {
			for items, ok := p.take(); ok; items, ok = p.take() {
				p.send(work, items)
			}
		})
	}
	sent := make(chan struct{})
	go func() {
		senders.Wait()
		close(sent)
	}()

	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var flow flow
	ended, draining := ctx.Done(), false
	for !draining || p.acks.inFlight() > 0 {
		select {
		case <-ended:
			ended = nil
			p.close()
		case <-sent:
			sent, draining = nil, true
		case <-statuses:
			p.look(work)
		case now := <-tick.C:
			p.acks.giveUp(now.Add(-p.cfg.ConfirmTimeout), errAckTimeout)
			p.look(work)
			flow.watch(p, now)
		}
	}
	return nil
}

// backlog is how many messages must wait for their answers to show how quickly the server works them off.
const backlog = 16

// flow watches how a backlog of single messages goes down.
type flow struct {
	since    time.Time
	answered uint64
	waiting  int
}

func (f *flow) watch(p *Publisher, now time.Time) {
	was := *f
	*f = flow{since: now, answered: p.answered.Load(), waiting: p.acks.inFlight()}
	if was.waiting >= backlog && f.waiting >= backlog {
		p.pace.flow(int(f.answered-was.answered), now.Sub(was.since)) //nolint:gosec // A few thousand.
	}
}

// close lets the senders end once nothing waits any more.
func (p *Publisher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.work.Broadcast()
}

// look notes whether there is a connection. What was sent on one that broke gets no answer any more, and a new one may lead to
// another server.
func (p *Publisher) look(ctx context.Context) {
	connected := p.nc.IsConnected()
	p.connected.Store(connected)
	if !connected {
		p.known = false
		p.acks.giveUp(time.Now(), errDisconnected)
		return
	}
	if !p.known {
		p.known = p.ask(ctx)
	}
}

// ask finds out whether the stream takes atomic batches, and tells whether that could be found out. A server older than 2.12
// leaves the field out of what it stores.
func (p *Publisher) ask(ctx context.Context) bool {
	if p.cfg.Mode == PublishAsync {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	stream, err := p.js.Stream(ctx, p.cfg.Stream)
	if err != nil {
		return false
	}
	if takes := stream.CachedInfo().Config.AllowAtomicPublish; p.batches.Swap(takes) != takes {
		p.cfg.Log.InfoContext(ctx, "atomic batches", slog.String("stream", p.cfg.Stream), slog.Bool("taken", takes))
	}
	return true
}

// refuseBatches notes that the server takes no batches, whatever the stream's settings say.
func (p *Publisher) refuseBatches(ctx context.Context) {
	if p.batches.Swap(false) {
		p.cfg.Log.WarnContext(ctx, "the server takes no atomic batches", slog.String("stream", p.cfg.Stream))
	}
}
