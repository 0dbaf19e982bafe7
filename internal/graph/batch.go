package graph

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBatch is how many requests Graph takes in one $batch. https://learn.microsoft.com/graph/json-batching
const maxBatch = 20

// batchWeight is how many of a batch's items count against the process's cap: Graph feeds a batch to Outlook four at a
// time, so a batch loads it no more than four calls do.
const batchWeight = 4

// Events reads many events of one tenant, up to twenty a request. The results stand in the order of refs, each with its own
// error. No mailbox gets more than its share of calls at once, and one that is busy or was told to wait does not hold up
// the others.
func (c *Client) Events(ctx context.Context, tenant string, refs []EventRef) []Result {
	if perUser, err := c.signIns.perUser(ctx, tenant); perUser || err != nil {
		return c.eventsAlone(ctx, tenant, refs, err)
	}
	results := make([]Result, len(refs))
	pending := newBacklog(tenant, refs)
	finished := make(chan struct{}, len(refs))
	running := 0
	for !pending.empty() {
		items, err := c.takeItems(ctx, pending, results, running > 0)
		switch {
		case err != nil:
			pending.each(func(i int) { results[i].Err = err })
			pending = &backlog{}
		case len(items) > 0:
			running++
			go func() {
				defer func() { finished <- struct{}{} }()
				c.runBatch(ctx, tenant, refs, items, results)
			}()
		case running > 0:
			<-finished
			running--
		}
	}
	for range running {
		<-finished
	}
	return results
}

// batchItem is one item that holds a slot of its mailbox's lane.
type batchItem struct {
	// index is the item's place in refs.
	index int
	lane  lane
	state *laneState
}

// takeItems picks the items of the next batch, with a slot for each and room in the process, and answers for mailboxes
// that were told to wait. While other batches are under way it takes nothing rather than wait for a busy mailbox.
func (c *Client) takeItems(ctx context.Context, pending *backlog, results []Result, busy bool) ([]batchItem, error) {
	var items []batchItem
	for range len(pending.queues) {
		q := pending.queues[0]
		pending.queues = pending.queues[1:]
		for len(q.indices) > 0 && len(items) < maxBatch {
			state, err := c.gate.join(opBatchItem, q.lane)
			if err != nil {
				for _, i := range q.indices {
					results[i].Err = err
				}
				q.indices = nil
				break
			}
			if !state.slots.TryAcquire(1) {
				c.gate.part(q.lane, state)
				break
			}
			items = append(items, batchItem{index: q.indices[0], lane: q.lane, state: state})
			q.indices = q.indices[1:]
		}
		if len(q.indices) > 0 {
			pending.queues = append(pending.queues, q)
		}
	}
	if len(items) == 0 && !busy && !pending.empty() {
		// Every mailbox is busy with somebody else's calls: wait for the first.
		q := pending.queues[0]
		item, err := c.waitForItem(ctx, q)
		if KindOf(err) == KindThrottled {
			return nil, nil // The next round answers for all of this mailbox's items.
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if q.indices = q.indices[1:]; len(q.indices) == 0 {
			pending.queues = pending.queues[1:]
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	if err := c.gate.all.Acquire(ctx, c.weight(len(items))); err != nil {
		c.leaveItems(items)
		failure := ended(ctx, opBatch)
		for _, item := range items {
			results[item.index].Err = failure
		}
		return nil, failure
	}
	return items, nil
}

func (c *Client) waitForItem(ctx context.Context, q *laneQueue) (batchItem, error) {
	state, err := c.gate.join(opBatchItem, q.lane)
	if err != nil {
		return batchItem{}, err
	}
	if err := state.slots.Acquire(ctx, 1); err != nil {
		c.gate.part(q.lane, state)
		return batchItem{}, ended(ctx, opBatchItem)
	}
	return batchItem{index: q.indices[0], lane: q.lane, state: state}, nil
}

func (c *Client) weight(items int) int64 {
	return min(int64(items), batchWeight, c.gate.capacity)
}

func (c *Client) leaveItems(items []batchItem) {
	for _, item := range items {
		item.state.slots.Release(1)
		c.gate.part(item.lane, item.state)
	}
}

// runBatch sends one batch and writes its verdicts. Items whose token was refused are sent once more under a new one.
func (c *Client) runBatch(ctx context.Context, tenant string, refs []EventRef, items []batchItem, results []Result) {
	defer func() {
		c.gate.all.Release(c.weight(len(items)))
		c.leaveItems(items)
	}()
	unauthorized, token := c.sendBatch(ctx, tenant, refs, items, results)
	if len(unauthorized) == 0 {
		return
	}
	if _, err := c.tokens.get(ctx, tenant, token); err != nil {
		for _, item := range unauthorized {
			results[item.index] = Result{Err: err}
		}
		return
	}
	c.sendBatch(ctx, tenant, refs, unauthorized, results)
}

func (c *Client) sendBatch(
	ctx context.Context, tenant string, refs []EventRef, items []batchItem, results []Result,
) (unauthorized []batchItem, token string) {
	batch := serviceLane(tenant, serviceBatch)
	state, err := c.gate.join(opBatch, batch)
	if err == nil {
		defer c.gate.part(batch, state)
		for _, item := range items {
			results[item.index] = Result{Err: missingAnswer()}
		}
		token, err = c.send(ctx, call{
			op: opBatch, tenant: tenant, lane: batch,
			build: func(ctx context.Context) (*http.Request, error) { return c.batchRequest(ctx, refs, items) },
			read: func(body []byte) error {
				unauthorized, err = c.readBatch(body, items, results)
				return err
			},
		})
	}
	if err != nil {
		for _, item := range items {
			results[item.index] = Result{Err: err}
		}
		return nil, token
	}
	return unauthorized, token
}

// missingAnswer is the verdict of an item that Graph left out: it may or may not have been done, and a reading can be
// repeated.
func missingAnswer() *Error {
	return &Error{Kind: KindUnavailable, Reason: ReasonUnreadableAnswer, Operation: string(opBatchItem)}
}

// batchRequest writes the body by hand rather than with the SDK's batch helper: that would build twenty RequestInformations
// with a UUID each to arrive at the same few bytes. The ids are the items' places.
func (c *Client) batchRequest(ctx context.Context, refs []EventRef, items []batchItem) (*http.Request, error) {
	body := make([]byte, 0, 512*len(items))
	body = append(body, `{"requests":[`...)
	for i, item := range items {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"id":"`...)
		body = strconv.AppendInt(body, int64(i), 10)
		body = append(body, `","method":"GET","url":`...)
		ref := refs[item.index]
		var err error
		if body, err = jsontext.AppendQuote(body, eventPath(ref.Mailbox.User, ref.ID)+"?$select="+eventSelect); err != nil {
			return nil, fmt.Errorf("writing a batch: %w", err)
		}
		body = append(body, `,"headers":{"Prefer":`...)
		if body, err = jsontext.AppendQuote(body, prefer); err != nil {
			return nil, fmt.Errorf("writing a batch: %w", err)
		}
		body = append(body, `}}`...)
	}
	body = append(body, `]}`...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/$batch", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("building a batch: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

type wireBatch struct {
	Responses []wireBatchItem `json:"responses"`
}

type wireBatchItem struct {
	ID      jsontext.Value `json:"id"`
	Status  int            `json:"status"`
	Headers jsontext.Value `json:"headers"`
	Body    jsontext.Value `json:"body"`
}

// readBatch writes the items' verdicts. The outer status says nothing about them, and they come in any order.
func (c *Client) readBatch(body []byte, items []batchItem, results []Result) (unauthorized []batchItem, err error) {
	var w wireBatch
	if err := json.Unmarshal(body, &w, asGraphWrites()); err != nil {
		return nil, fmt.Errorf("reading a batch: %w", err)
	}
	now := time.Now()
	seen := make([]bool, len(items))
	for _, answer := range w.Responses {
		place, err := strconv.Atoi(text(answer.ID))
		if err != nil || place < 0 || place >= len(items) || seen[place] {
			continue
		}
		seen[place] = true
		item := items[place]
		c.metrics.answered(opBatchItem, answer.Status, 0)
		result := c.readBatchItem(answer, now)
		results[item.index] = result
		if failure, ok := result.Err.(*Error); ok { //nolint:errorlint // It was made two lines above, unwrapped.
			c.metrics.refused(opBatchItem, failure.Kind)
			c.gate.pause(item.lane, failure.RetryAfter)
			if answer.Status == http.StatusUnauthorized {
				unauthorized = append(unauthorized, item)
			}
		}
	}
	return unauthorized, nil
}

func (c *Client) readBatchItem(answer wireBatchItem, now time.Time) Result {
	if answer.Status < http.StatusOK || answer.Status >= http.StatusMultipleChoices {
		return Result{Err: classify(opBatchItem, answer.Status, batchHeader(answer.Headers), answer.Body, now)}
	}
	event, err := decodeEvent(answer.Body)
	if err != nil {
		return Result{Err: &Error{
			Kind: KindInvalid, Reason: ReasonUnreadableAnswer, Status: answer.Status, Operation: string(opBatchItem), cause: err,
		}}
	}
	return Result{Event: event}
}

// batchHeader reads an item's headers, of which any may be something else than a string.
func batchHeader(raw jsontext.Value) http.Header {
	var values map[string]jsontext.Value
	header := http.Header{}
	if raw.Kind() != jsontext.KindBeginObject || json.Unmarshal(raw, &values, lenient()) != nil {
		return header
	}
	for name, value := range values {
		header.Set(name, text(value))
	}
	return header
}
