package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"pairsync/model"
)

// delivery is what was in a POST.
type delivery struct {
	items int // received
	hints int // of them proved to be ours
}

// take reads the POST's items, publishes what is ours and returns the answer's status.
func (h *Handler) take(ctx context.Context, r *http.Request, began time.Time) (int, delivery) {
	hints, d, err := h.read(r, began)
	if err != nil {
		h.log.DebugContext(ctx, "post refused", slog.Any("error", err))
		return refusal(err), d
	}
	if len(hints) == 0 {
		// Nothing of it is ours. Sending it again would not make it so.
		return http.StatusAccepted, d
	}
	ctx, cancel := context.WithDeadline(ctx, began.Add(h.cfg.ConfirmTimeout))
	defer cancel()
	confirmed, err := h.publisher.Publish(ctx, hints)

	unavailable := h.count(hints, confirmed)
	h.outage.note(ctx, h.log, unavailable > 0, err)
	if unavailable > 0 {
		return http.StatusServiceUnavailable, d
	}
	return http.StatusAccepted, d
}

// read parses and judges the POST, and counts the items that are not ours.
func (h *Handler) read(r *http.Request, receivedAt time.Time) ([]model.Hint, delivery, error) {
	body, err := h.bodies.read(r)
	defer body.release()
	if err != nil {
		return nil, delivery{}, err
	}
	p := h.parsers.get()
	defer h.parsers.put(p)
	items, err := p.collection(body.bytes)
	if err != nil {
		return nil, delivery{}, err
	}
	hints := make([]model.Hint, 0, len(items))
	var dropped [results]int
	for i := range items {
		hint, verdict := judge(h.prover, &items[i], receivedAt)
		if verdict != resultAccepted {
			dropped[verdict]++
			continue
		}
		hints = append(hints, hint)
	}
	for verdict, n := range dropped {
		h.metrics.count(result(verdict), n)
	}
	return hints, delivery{items: len(items), hints: len(hints)}, nil
}

// count notes how each hint ended and returns how many are not known to be durable.
func (h *Handler) count(hints []model.Hint, confirmed []model.Confirmation) (unavailable int) {
	var ended [results]int
	for i := range hints {
		c := model.Unconfirmed
		if i < len(confirmed) {
			c = confirmed[i]
		}
		switch c {
		case model.Stored:
			ended[resultAccepted]++
			if hints[i].Lifecycle != "" {
				h.metrics.countLifecycle(hints[i].Lifecycle)
			}
		case model.Duplicate:
			ended[resultDuplicate]++
		case model.Unconfirmed:
			ended[resultUnavailable]++
		}
	}
	for r, n := range ended {
		h.metrics.count(result(r), n)
	}
	return ended[resultUnavailable]
}

// outage logs the beginning and the end of a time in which hints could not be made durable, and nothing in between.
type outage struct{ on atomic.Bool }

func (o *outage) note(ctx context.Context, log *slog.Logger, failed bool, err error) {
	if o.on.Load() == failed || !o.on.CompareAndSwap(!failed, failed) {
		return
	}
	if failed {
		log.WarnContext(ctx, "notifications can't be stored, graph is asked to send them again", slog.Any("error", err))
		return
	}
	log.InfoContext(ctx, "notifications are stored again")
}
