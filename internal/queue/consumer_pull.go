package queue

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	pullExpires   = 30 * time.Second
	pullHeartbeat = 2 * time.Second
	// drainTimeout bounds the wait for what the server had sent before it heard that we want no more.
	drainTimeout = 2 * time.Second
)

// puller asks the server for messages: as many as there is room for, before it runs dry, and never more. The client's own
// iterators fetch ahead into a buffer in which messages age unseen; here every message that arrives is kept alive.
// https://docs.nats.io/reference/reference-protocols/nats_api_reference
type puller struct {
	nc      *nats.Conn
	subject string
	inbox   string
	sub     *nats.Subscription
	closed  chan struct{}
	// lost has a value when the server knows no such consumer.
	lost chan struct{}

	mu sync.Mutex
	// asked is how many messages the server still owes us.
	asked int
	// generation sets the answers to earlier requests apart, which a broken connection has made worthless.
	generation string
	resets     int
	heard      time.Time
	// wait holds pulls back until the next tick or reset, after the server refused one.
	wait bool
}

func (p *puller) init(b *Broker, stream, consumer string) {
	prefix := cmp.Or(b.js.Options().APIPrefix, "$JS.API.")
	p.nc = b.nc
	p.subject = prefix + "CONSUMER.MSG.NEXT." + stream + "." + consumer
	p.inbox = b.nc.NewInbox() + "."
	p.lost = make(chan struct{}, 1)
	p.closed = make(chan struct{})
	p.generation = "0"
	p.heard = time.Now()
}

func (p *puller) subscribe(receive nats.MsgHandler) error {
	sub, err := p.nc.Subscribe(p.inbox+"*", receive)
	if err != nil {
		return fmt.Errorf("subscribing for messages: %w", err)
	}
	sub.SetClosedHandler(func(string) { close(p.closed) })
	// What has been asked for always fits: the window bounds it.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("subscribing for messages: %w", err)
	}
	p.sub = sub
	return nil
}

// ask requests messages when room for them is worth a request.
func (p *puller) ask(window, held int) {
	p.mu.Lock()
	room := window - held - p.asked
	worth := p.asked <= window/2 && room >= max(1, window/4) || p.asked == 0 && room > 0
	if p.wait || !worth || !p.nc.IsConnected() {
		p.mu.Unlock()
		return
	}
	p.asked += room
	reply := p.inbox + p.generation
	p.mu.Unlock()
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, room, pullExpires, pullHeartbeat)
	if err := p.nc.PublishRequest(p.subject, reply, request); err != nil {
		p.reset() // The next tick asks again.
	}
}

// reset forgets what was asked for.
func (p *puller) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	p.wait = false
}

func (p *puller) forget() {
	p.resets++
	p.generation = strconv.Itoa(p.resets)
	p.asked = 0
	p.heard = time.Now()
}

// silent says that the server should have given a sign of life and hasn't. Every look lets pulls go on that were held back.
func (p *puller) silent(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = false
	return p.asked > 0 && now.Sub(p.heard) > 3*pullHeartbeat
}

// arrived counts a delivery. It comes under the message's own subject, which doesn't tell to which request it belongs: one
// that answers a request from before a reset makes us ask for one too many.
func (p *puller) arrived() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now()
	p.asked = max(0, p.asked-1)
}

// status takes what isn't a message: signs of life, requests that ran out, and refusals.
func (p *puller) status(code string, m *nats.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now()
	if code == "100" || m.Subject != p.inbox+p.generation {
		return
	}
	left, err := strconv.Atoi(first(m.Header, "Nats-Pending-Messages"))
	if code == "408" && err == nil {
		p.asked = max(0, p.asked-left)
		return
	}
	p.forget()
	p.wait = true
	// 503: nobody serves the consumer; either it doesn't exist, or JetStream isn't up yet.
	if code == "503" || strings.Contains(strings.ToLower(first(m.Header, "Description")), "consumer deleted") {
		select {
		case p.lost <- struct{}{}:
		default:
		}
	}
}

// stop ends the deliveries, after those which are on their way.
func (p *puller) stop() {
	if err := p.sub.Drain(); err != nil {
		return // The connection is gone, and with it the deliveries.
	}
	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()
	select {
	case <-p.closed:
	case <-timer.C:
	}
}
