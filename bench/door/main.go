// Command door measures the public door, from a POST to the 202 that says its items are durable, beside small programs that
// show what the machine can do. The broker and the door are processes of their own; the load comes from this one. See
// README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

type options struct {
	serve       string
	nats        string
	server      string
	dir         string
	only        string
	connections int
	rounds      int
	span, warm  time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.serve, "serve", "", "used by itself: be one of the doors")
	flag.StringVar(&o.nats, "nats", "", "used by itself: the broker of that door")
	flag.StringVar(&o.server, "server", "", "nats-server binary; empty builds the version of go.mod")
	flag.StringVar(&o.dir, "dir", "", "folder for the broker's files, on the disk to measure; empty takes the system's temporary one")
	flag.StringVar(&o.only, "only", "", "measure this cell alone: default/1, default/20, always/1 or always/20")
	flag.IntVar(&o.connections, "connections", 64, "connections that post at the same time")
	flag.IntVar(&o.rounds, "rounds", 3, "how often everything is measured; the median counts")
	flag.DurationVar(&o.span, "for", 5*time.Second, "how long to measure each time")
	flag.DurationVar(&o.warm, "warm", 2*time.Second, "how long to post before that")
	flag.Parse()
	var err error
	if o.serve != "" {
		err = serve(ctx, o, os.Stdout)
	} else {
		err = compare(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "door:", err)
		os.Exit(1)
	}
}

// cell is one setting, with the two programs that are compared in it.
type cell struct {
	always    bool // the server syncs every write
	items     int  // in a POST
	reference string
}

func (c cell) name() string {
	if c.always {
		return fmt.Sprintf("always/%d", c.items)
	}
	return fmt.Sprintf("default/%d", c.items)
}

// compare measures every cell and writes a table.
func compare(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "pairsync-bench-door")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.server == "" {
		if o.server, err = buildServer(ctx, dir); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(out, "%d connections, %d rounds of %v after %v\n\n"+
		"| server | items a POST | program | notifications/s | p50 | p99 | CPU µs a notification: door + broker | door resident | of the reference |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n", o.connections, o.rounds, o.span, o.warm); err != nil {
		return err
	}
	for _, c := range []cell{
		{false, 1, "async"},
		{false, 20, "async"},
		{true, 1, "groupcommit"},
		{true, 20, "groupcommit"},
	} {
		if o.only != "" && o.only != c.name() {
			continue
		}
		programs := []string{c.reference, "pairsync"}
		seen := make(map[string][]figures)
		for range o.rounds {
			for _, program := range programs {
				f, err := measure(ctx, o, dir, program, c)
				if err != nil {
					return fmt.Errorf("%s, %d items: %w", program, c.items, err)
				}
				seen[program] = append(seen[program], f)
			}
		}
		reference := median(seen[c.reference])
		for _, program := range programs {
			if err := row(out, c, program, median(seen[program]), reference); err != nil {
				return err
			}
		}
	}
	return nil
}

// median is the round whose throughput is in the middle.
func median(rounds []figures) figures {
	slices.SortFunc(rounds, func(a, b figures) int { return int(a.rate() - b.rate()) })
	return rounds[len(rounds)/2]
}

func row(out io.Writer, c cell, program string, f, reference figures) error {
	server := "default sync"
	if c.always {
		server = "sync always"
	}
	_, err := fmt.Fprintf(out, "| %s | %d | %s | %.0f | %v | %v | %.0f + %.0f | %d MB | %.2f |\n", server, c.items, program, f.rate(),
		f.p50.Round(100*time.Microsecond), f.p99.Round(100*time.Microsecond), f.perItem(f.doorCPU), f.perItem(f.brokerCPU),
		f.resident>>20, f.rate()/reference.rate())
	return err
}
