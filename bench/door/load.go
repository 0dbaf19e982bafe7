package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load posts over a number of connections, each of which posts again as soon as it has its answer. It writes HTTP itself,
// because on a small machine what the load costs is taken from the door.
type load struct {
	clients []*client
	items   int
	// serial makes every item another version of another event.
	serial atomic.Uint64
}

type client struct {
	conn   net.Conn
	in     *bufio.Reader
	post   []byte
	serial []int // where the numbers stand in post
	took   []time.Duration
}

// number is where a serial number goes: sixteen digits.
const number = "0000000000000000"

func newLoad(connections, items int, addr string) (*load, error) {
	prover, err := states()
	if err != nil {
		return nil, err
	}
	state, err := prover.Sign(benchTenant, benchMailbox)
	if err != nil {
		return nil, err
	}
	post, at := template(items, addr, state)
	l := &load{items: items}
	for range connections {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", addr)
		if err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, &client{
			conn: conn, in: bufio.NewReader(conn), post: bytes.Clone(post), serial: at, took: make([]time.Duration, 0, 1<<16),
		})
	}
	return l, nil
}

// template is a POST as Graph sends it, and where in it serial numbers are to be put.
func template(items int, host, state string) (post []byte, at []int) {
	var body bytes.Buffer
	body.WriteString(`{"value":[`)
	for i := range items {
		if i > 0 {
			body.WriteByte(',')
		}
		event := "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AqRlo3rKKCU-Vk4Ie1aNOUwAAGDSV1wAA" + number + "="
		fmt.Fprintf(&body, `{"subscriptionId":"76619225-ff6b-4489-96ca-4ef547e78b22",`+
			`"subscriptionExpirationDateTime":"2026-12-01T11:00:00.0000000Z","changeType":"updated",`+
			`"resource":"Users/%[1]s/Events/%[2]s","resourceData":{"@odata.type":"#Microsoft.Graph.Event",`+
			`"@odata.id":"Users/%[1]s/Events/%[2]s","@odata.etag":"W/\"DwAAABYAAACpGWjesooJT%[3]s\"","id":"%[2]s"},`+
			`"clientState":"%[4]s","tenantId":"%[5]s"}`, benchMailbox, event, number, state, benchTenant)
	}
	body.WriteString(`]}`)
	post = fmt.Appendf(nil, "POST /graph/notifications HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json; charset=utf-8\r\n"+
		"Content-Length: %d\r\n\r\n%s", host, body.Len(), body.Bytes())
	for from := 0; ; {
		i := bytes.Index(post[from:], []byte(number))
		if i < 0 {
			return post, at
		}
		at = append(at, from+i)
		from += i + len(number)
	}
}

func (l *load) close() {
	for _, c := range l.clients {
		_ = c.conn.Close() // nothing is under way
	}
}

// run posts for the given time.
func (l *load) run(ctx context.Context, span time.Duration) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var all sync.WaitGroup
	failed := make([]error, len(l.clients))
	began := time.Now()
	for i, c := range l.clients {
		c.took = c.took[:0]
		all.Go(func() {
			for ctx.Err() == nil && failed[i] == nil {
				failed[i] = l.once(c)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := errors.Join(failed...); err != nil {
		return figures{}, err
	}
	times := make([]time.Duration, 0, 1<<16)
	for _, c := range l.clients {
		times = append(times, c.took...)
	}
	if len(times) == 0 {
		return figures{}, errors.New("no post was answered")
	}
	slices.Sort(times)
	return figures{
		items: len(times) * l.items, span: took,
		p50: times[len(times)/2], p99: times[len(times)*99/100],
	}, nil
}

// once posts new items and waits for the answer.
func (l *load) once(c *client) error {
	const places = len(number)
	var serial uint64
	perItem := len(c.serial) / l.items
	for i, at := range c.serial {
		if i%perItem == 0 {
			serial = l.serial.Add(1)
		}
		digits := c.post[at : at+places]
		for k, n := places-1, serial; k >= 0; k, n = k-1, n/10 {
			digits[k] = byte('0' + n%10)
		}
	}
	began := time.Now()
	if _, err := c.conn.Write(c.post); err != nil {
		return err
	}
	code, err := c.answer()
	if err != nil {
		return err
	}
	if code != 202 {
		return fmt.Errorf("the door answered %d", code)
	}
	c.took = append(c.took, time.Since(began))
	return nil
}

// answer reads an answer without a body.
func (c *client) answer() (int, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 202") {
		return 0, fmt.Errorf("no answer: %q", line)
	}
	code, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, err
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			return code, nil
		}
	}
}
