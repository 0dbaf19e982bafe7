// Command lag measures pairsync's share of the lag, from the receipt of a notification to the commit of its change, at a
// steady rate of notifications and with a Graph that takes its time. See README.md.
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

	"golang.org/x/sync/errgroup"

	"pairsync/bench/reconcile/rig"
	"pairsync/internal/queue"
	"pairsync/model"
	"pairsync/workers"
)

type options struct {
	rate  int
	warm  time.Duration
	span  time.Duration
	stage rig.Config
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.IntVar(&o.rate, "rate", 200, "notifications a second, each of another session")
	flag.DurationVar(&o.span, "for", 30*time.Second, "how long to measure")
	flag.DurationVar(&o.warm, "warm", 3*time.Second, "how long to send before that")
	flag.DurationVar(&o.stage.Latency, "graph", 150*time.Millisecond, "how long Graph takes for an answer")
	flag.StringVar(&o.stage.DatabaseURL, "database", "", "PostgreSQL to use, its schema public is deleted; empty starts one")
	flag.StringVar(&o.stage.NATSURL, "nats", "", "NATS server to use; empty starts one in this process")
	flag.StringVar(&o.stage.Dir, "dir", "", "folder for data; empty takes the system's temporary one")
	flag.Parse()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lag:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	s, err := rig.Build(ctx, o.stage)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	warm := int(o.warm.Seconds() * float64(o.rate))
	total := warm + int(o.span.Seconds()*float64(o.rate))
	if err := s.Sessions(ctx, total); err != nil {
		return err
	}
	w, err := s.Workers(workers.Config{})
	if err != nil {
		return err
	}
	p := s.Broker.NewPublisher(queue.PublisherConfig{})
	running, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return w.Run(running) })
	group.Go(func() error { return p.Run(running) })
	err = send(ctx, s, p, total, o.rate)
	if err == nil {
		err = s.Drained(ctx)
	}
	stop()
	if err = errors.Join(err, group.Wait()); err != nil {
		return err
	}
	return report(ctx, s, warm, total, o, out)
}

// send publishes notifications at a steady rate, one by one, whatever becomes of those before.
func send(ctx context.Context, s *rig.Stage, p *queue.Publisher, total, rate int) error {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var sending errgroup.Group
	for n := range total {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), sending.Wait())
		}
		sending.Go(func() error {
			confirmed, err := p.Publish(ctx, []model.Hint{s.Hint(n)})
			if err == nil && confirmed[0] != model.Stored {
				err = fmt.Errorf("notification %d was not stored", n)
			}
			return err
		})
	}
	return sending.Wait()
}

// report reads the lag of every change from the change feed, those of the warm-up left out.
func report(ctx context.Context, s *rig.Stage, warm, total int, o options, out io.Writer) error {
	var lags []time.Duration
	var after int64
	for {
		changes, err := s.Store.Changes(ctx, rig.Tenant, after, 1000)
		if err != nil {
			return err
		}
		for _, ch := range changes {
			lags = append(lags, ch.AppliedAt.Sub(ch.ReceivedAt))
			after = ch.Cursor
		}
		if len(changes) == 0 {
			break
		}
	}
	if len(lags) != total {
		return fmt.Errorf("%d changes of %d notifications", len(lags), total)
	}
	lags = lags[warm:]
	slices.Sort(lags)
	at := func(share float64) time.Duration {
		return lags[min(int(share*float64(len(lags))), len(lags)-1)].Round(100 * time.Microsecond)
	}
	_, err := fmt.Fprintf(out, "%d notifications at %d/s, Graph takes %v\nlag p50 %v, p90 %v, p99 %v, most %v; without Graph p50 %v, p99 %v\n",
		len(lags), o.rate, o.stage.Latency, at(0.5), at(0.9), at(0.99), lags[len(lags)-1].Round(100*time.Microsecond),
		at(0.5)-o.stage.Latency, at(0.99)-o.stage.Latency)
	return err
}
