package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/sync/errgroup"

	"pairsync/bench/door/reference"
	"pairsync/internal/queue"
	"pairsync/model"
	"pairsync/webhook"
)

const (
	benchTenant  = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	benchMailbox = "622eaaff-0683-4862-9de4-f2ec83c2bd98"
)

// states proves what the load signed; the key is no secret.
func states() (*model.ClientStates, error) {
	return model.NewClientStates([][]byte{bytes.Repeat([]byte("bench"), 8)})
}

// serve is one of the doors. It writes its address and runs until it is killed.
func serve(ctx context.Context, o options, out io.Writer) error {
	nc, err := queue.Connect(ctx, queue.ConnConfig{URL: o.nats})
	if err != nil {
		return err
	}
	defer nc.Close()
	var group errgroup.Group
	handler, err := door(ctx, o.serve, nc, &group)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := webhook.NewServer("", handler, slog.New(slog.DiscardHandler))
	group.Go(func() error { return server.Serve(listener) })
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	return group.Wait()
}

func door(ctx context.Context, program string, nc *nats.Conn, group *errgroup.Group) (http.Handler, error) {
	switch program {
	case "async":
		return reference.Async(nc)
	case "groupcommit":
		return reference.GroupCommit(ctx, nc), nil
	case "pairsync":
	default:
		return nil, fmt.Errorf("no door is called %q", program)
	}
	prover, err := states()
	if err != nil {
		return nil, err
	}
	broker, err := queue.Open(ctx, nc, queue.Config{NotificationBytes: 8 << 30})
	if err != nil {
		return nil, err
	}
	publisher := broker.NewPublisher(queue.PublisherConfig{})
	group.Go(func() error { return publisher.Run(ctx) })
	return webhook.New(webhook.Config{}, webhook.Deps{
		Publisher: publisher, ClientStates: prover, Registerer: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		// As the service has it when traces are sent nowhere.
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
	})
}
