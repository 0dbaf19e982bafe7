package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"time"

	"pairsync/internal/config"
	"pairsync/internal/simulator"
	"pairsync/ops"
)

// simulatorAddr is where the Outlook simulator listens unless told otherwise.
const simulatorAddr = "127.0.0.1:8090"

func simulatorCommand() command {
	return command{
		name:    "simulator",
		args:    "[flags]",
		summary: "runs an Outlook simulator: sign-in, Graph and a page on which to act as a person in Outlook",
		help: "It has two organisations with their pairs, and prints the variables with which pairsync serve uses it, ready\n" +
			"for a shell. It speaks plain http, so it is for this machine only.",
		run: runSimulator,
	}
}

func runSimulator(ctx context.Context, cmd command, inv *invocation) error {
	addr, state := simulatorAddr, ""
	var seed uint64
	if err := inv.noArguments(cmd, func(flags *flag.FlagSet) {
		flags.StringVar(&addr, "addr", addr, "a listen address, host:port")
		flags.Uint64Var(&seed, "seed", 0, "a whole number that makes misbehaviour repeatable; 0 takes a random one")
		flags.StringVar(&state, "state", "", "the path of a file that keeps everything between two runs")
	}); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return misused("--addr takes a listen address, host:port")
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	log := ops.NewLogger(inv.stderr, cfg.LogLevel, cfg.LogFormat)
	server, err := listen(ctx, "simulator", "--addr", addr, &http.Server{ReadHeaderTimeout: 5 * time.Second}, log)
	if err != nil {
		return err
	}
	app := demoApp(rand.Text())
	sim, err := simulator.New(simulator.Config{Apps: []simulator.App{app}, StateFile: state, Seed: seed, Log: log})
	if err != nil {
		server.close()
		return err
	}
	o := &outlook{sim}
	sessions, err := furnish(o, time.Now())
	if err != nil {
		server.close()
		return err
	}
	running := newParts(log)
	startSimulator(ctx, running, sim, server)

	base := server.url()
	inv.say("# Outlook simulator; its page is %s/", base)
	inv.say("export PAIRSYNC_AUTHORITY_URL=%s\nexport PAIRSYNC_GRAPH_URL=%s/v1.0\nexport PAIRSYNC_CLIENT_ID=%s\nexport PAIRSYNC_CLIENT_SECRET=%s",
		base, base, app.ClientID, app.Secret)
	for _, s := range sessions {
		inv.say("# tenant %s, organizer %s, event %s", s.Tenant, s.Organizer, s.EventID)
	}
	return errors.Join(running.wait(ctx), running.stop(ctx, totalGrace))
}

// startSimulator lets it deliver notifications and answer requests.
func startSimulator(ctx context.Context, running *parts, sim *simulator.Simulator, server *httpServer) {
	server.server.Handler = sim
	running.start(ctx, "simulator", shortGrace, sim.Run)
	running.start(ctx, "simulator server", shortGrace, server.run(time.Second))
}

// furnish makes the organisations and, in calendars that have none yet, one meeting for each pair.
func furnish(o *outlook, now time.Time) ([]demoSession, error) {
	if err := o.populate(false); err != nil {
		return nil, err
	}
	var sessions []demoSession
	for _, org := range organisations() {
		for i, p := range org.pairs {
			start, end, err := org.slot(now, i+1)
			if err != nil {
				return nil, err
			}
			have, err := o.sim.Calendar(p.mentor.email, now, now.AddDate(1, 0, 0))
			if err != nil {
				return nil, fmt.Errorf("looking into a calendar: %w", err)
			}
			session := demoSession{Tenant: org.tenant, Organizer: p.mentor.email}
			if len(have) > 0 {
				session.EventID = have[0].ID
			} else if session.EventID, err = o.book(p, start, end); err != nil {
				return nil, fmt.Errorf("booking in Outlook: %w", err)
			}
			sessions = append(sessions, session)
		}
	}
	return sessions, nil
}
