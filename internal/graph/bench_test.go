package graph

import (
	"context"
	jsonv1 "encoding/json"
	"net/http"
	"testing"

	kiotajson "github.com/microsoft/kiota-serialization-json-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// BenchmarkEvent reads one event over HTTP from a server that does nothing else: ours, the SDK's own way with its models,
// and the floor, which is net/http and the server with nothing read.
func BenchmarkEvent(b *testing.B) {
	body := []byte(plainEvent)
	serve := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
	mb := Mailbox{Tenant: tenantA, User: mailboxA}
	b.Run("ours", func(b *testing.B) {
		c := newStandIn(b, nil).trivial(b, serve)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Event(b.Context(), mb, "AAMk="); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		c := newStandIn(b, nil).trivial(b, serve)
		b.ReportAllocs()
		for b.Loop() {
			if err := sdkEvent(b.Context(), c, mb, "AAMk="); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		c := newStandIn(b, nil).trivial(b, serve)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := c.ownIdle.RoundTrip(c.eventRequest(b.Context(), mb, "AAMk="))
			if err != nil {
				b.Fatal(err)
			}
			buf := c.buffers.get()
			_, _ = buf.ReadFrom(resp.Body)
			_ = resp.Body.Close()
			c.buffers.put(buf)
		}
	})
}

// trivial is a client with a token in hand whose Graph is a bare handler.
func (s *standIn) trivial(b *testing.B, serve http.HandlerFunc) *Client {
	b.Helper()
	entra := s.server.URL
	bare := newBare(b, serve)
	c := s.client(b, func(cfg *Config) { cfg.URL, cfg.AuthorityURL = bare+"/v1.0", entra })
	if err := c.CheckToken(b.Context(), tenantA); err != nil {
		b.Fatal(err)
	}
	return c
}

func sdkEvent(ctx context.Context, c *Client, mb Mailbox, id string) error {
	builder := users.NewItemEventsEventItemRequestBuilderInternal(c.path("user%2Did", mb.User, "event%2Did", id), c.adapter)
	_, err := builder.Get(ctx, nil)
	return err
}

// BenchmarkEventRequest is what it takes to build the request.
func BenchmarkEventRequest(b *testing.B) {
	c := newStandIn(b, nil).client(b)
	mb := Mailbox{Tenant: tenantA, User: mailboxA}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.eventRequest(b.Context(), mb, "AAMk=")
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sdkEventRequest(b.Context(), c, mb, "AAMk="); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDecodeEvent is what it takes to make sense of the answer.
func BenchmarkDecodeEvent(b *testing.B) {
	body := []byte(plainEvent)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeEvent(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var w wireEvent
			if err := jsonv1.Unmarshal(body, &w); err != nil {
				b.Fatal(err)
			}
			if _, err := w.event(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		factory := kiotajson.NewJsonParseNodeFactory()
		b.ReportAllocs()
		for b.Loop() {
			node, err := factory.GetRootParseNode("application/json", body)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := node.GetObjectValue(models.CreateEventFromDiscriminatorValue); err != nil {
				b.Fatal(err)
			}
		}
	})
}
