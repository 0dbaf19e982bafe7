package webhook

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pairsync/model"
)

// BenchmarkDeliver is the door's own share, with a publisher that costs nothing.
func BenchmarkDeliver(b *testing.B) {
	state := signed(b, testStates(b))
	h, _ := newTestHandler(b, Config{}, &discard{})
	body := collection(change(state, testEvent, "DwAA"))
	r := httptest.NewRequest(http.MethodPost, NotificationsPath, http.NoBody)
	r.Header.Set("Content-Type", graphJSON)
	b.ReportAllocs()
	for b.Loop() {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		w := httptest.ResponseRecorder{}
		if h.ServeHTTP(&w, r); w.Code != http.StatusAccepted {
			b.Fatal(w.Code)
		}
	}
}

type discard struct{}

func (discard) Publish(_ context.Context, hints []model.Hint) ([]model.Confirmation, error) {
	c := make([]model.Confirmation, len(hints))
	for i := range c {
		c[i] = model.Stored
	}
	return c, nil
}
