// Command pairsync keeps mentoring sessions true to Outlook.
//
// This package is the wiring: it reads the configuration, starts the parts that the chosen roles need, and ends them in the
// reverse order. Every part waits for what it needs by itself, so that roles, PostgreSQL and NATS can start in any order.
// It is the only package that exits, and the only one in which the rooms meet.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version and commit are stamped by the linker: -ldflags "-X main.version=… -X main.commit=…".
//
//nolint:gochecknoglobals // The linker can set nothing else.
var version, commit string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains; a second one ends the process at once. What comes together with the first is the same wish:
	// timeout(1), for one, signals the process and then its whole group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
