// Command reconcile measures how fast pairsync's workers drain notifications when Graph is trivial, beside a small
// reference program that does the least which the same job needs, in the same run. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"pairsync/bench/reconcile/rig"
	"pairsync/model"
	"pairsync/workers"
)

type options struct {
	messages int
	rounds   int
	only     string
	profile  string
	stage    rig.Config
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.IntVar(&o.messages, "messages", 20_000, "notifications, each of another session")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each program")
	flag.StringVar(&o.only, "only", "", "measure only this program: reference, reconcile or workers")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the last draining to this file")
	flag.StringVar(&o.stage.DatabaseURL, "database", "", "PostgreSQL to use, its schema public is deleted; empty starts one")
	flag.StringVar(&o.stage.NATSURL, "nats", "", "NATS server to use; empty starts one in this process")
	flag.StringVar(&o.stage.Dir, "dir", "", "folder for data; empty takes the system's temporary one")
	flag.Parse()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "reconcile:", err)
		os.Exit(1)
	}
}

// program drains what waits in the queue, and tells how long that took from its start to the last acknowledgement.
type program struct {
	name  string
	drain func(ctx context.Context, s *rig.Stage, messages int) (time.Duration, error)
}

func programs() []program {
	return []program{
		{"reference", reference},
		{"reconcile", func(ctx context.Context, s *rig.Stage, n int) (time.Duration, error) {
			return pairsync(ctx, s, n, true)
		}},
		{"workers", func(ctx context.Context, s *rig.Stage, n int) (time.Duration, error) {
			return pairsync(ctx, s, n, false)
		}},
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	s, err := rig.Build(ctx, o.stage)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	say("%-10s %8s %12s %14s\n", "program", "round", "messages/s", "CPU µs/message")
	rates := make(map[string][]float64)
	for round := range o.rounds {
		for _, p := range programs() {
			if o.only != "" && o.only != p.name {
				continue
			}
			if err := prepare(ctx, s, o.messages); err != nil {
				return err
			}
			cpu := cpuTime()
			took, err := profiled(o.profile, func() (time.Duration, error) { return p.drain(ctx, s, o.messages) })
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			used := cpuTime() - cpu
			rate := float64(o.messages) / took.Seconds()
			rates[p.name] = append(rates[p.name], rate)
			say("%-10s %8d %12.0f %14.0f\n", p.name, round+1, rate, float64(used.Microseconds())/float64(o.messages))
		}
	}
	if len(rates["reference"]) > 0 {
		for _, name := range []string{"reconcile", "workers"} {
			if len(rates[name]) > 0 {
				say("%s / reference, medians: %.2f\n", name, median(rates[name])/median(rates["reference"]))
			}
		}
	}
	return nil
}

// profiled runs a draining under the CPU profiler if a file is named.
func profiled(file string, drain func() (time.Duration, error)) (took time.Duration, err error) {
	if file == "" {
		return drain()
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return 0, err
	}
	defer pprof.StopCPUProfile()
	return drain()
}

// prepare makes sessions that differ from Outlook and one notification for each.
func prepare(ctx context.Context, s *rig.Stage, messages int) error {
	if err := s.Sessions(ctx, messages); err != nil {
		return err
	}
	return fill(ctx, s, messages)
}

// pairsync drains with pairsync's own workers. alone holds the relay's lock meanwhile, so that nothing is published: the
// reference publishes nothing either.
func pairsync(ctx context.Context, s *rig.Stage, messages int, alone bool) (took time.Duration, err error) {
	w, err := s.Workers(workers.Config{})
	if err != nil {
		return 0, err
	}
	work := func(ctx context.Context) error {
		running, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		begun := time.Now()
		go func() { ended <- w.Run(running) }()
		err := s.Drained(ctx)
		took = time.Since(begun)
		end()
		return errors.Join(err, <-ended)
	}
	if alone {
		_, err = s.Store.WithLock(ctx, "relay", work)
	} else {
		err = work(ctx)
	}
	if err != nil {
		return 0, err
	}
	return took, changed(ctx, s, messages)
}

// changed checks that every notification led to its change.
func changed(ctx context.Context, s *rig.Stage, messages int) error {
	last, err := s.Store.Changes(ctx, rig.Tenant, 0, 1)
	if err != nil {
		return err
	}
	if len(last) == 0 || last[0].Kind != model.KindRescheduled {
		return fmt.Errorf("the first change is %v", last)
	}
	var n int
	if err := s.Pool.QueryRow(ctx, "SELECT count(*) FROM changes").Scan(&n); err != nil {
		return err
	}
	if n != messages {
		return fmt.Errorf("%d changes of %d notifications", n, messages)
	}
	return nil
}
