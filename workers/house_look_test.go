package workers_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"pairsync/internal/queue"
)

// metric is the sum of a metric's values over all its labels that hold the given pairs; a histogram's is its count.
func (h *house) metric(name string, labels ...string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := make(map[string]string)
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			matches := true
			for i := 0; i < len(labels); i += 2 {
				matches = matches && have[labels[i]] == labels[i+1]
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// published are the CloudEvents in PAIRSYNC_CHANGES, in order.
func (h *house) published() []event {
	h.t.Helper()
	js, err := jetstream.New(h.nc)
	if err != nil {
		h.t.Fatal(err)
	}
	stream, err := js.Stream(h.t.Context(), queue.StreamChanges)
	if err != nil {
		h.t.Fatal(err)
	}
	var events []event
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(h.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			h.t.Fatal(err)
		}
		var e event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			h.t.Fatal(err)
		}
		e.msgID, e.natsSubject = m.Header.Get("Nats-Msg-Id"), m.Subject
		events = append(events, e)
	}
	return events
}

// event is what a subscriber of PAIRSYNC_CHANGES sees.
type event struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Data    struct {
		Cursor  string `json:"cursor"`
		Session string `json:"session"`
		Version int64  `json:"version"`
		Kind    string `json:"kind"`
	} `json:"data"`
	msgID, natsSubject string
}

// logs keeps what is logged, for tests that fail.
type logs struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
