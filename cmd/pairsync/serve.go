package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"strings"

	"pairsync/internal/config"
	"pairsync/ops"
)

func serveCommand() command {
	return command{
		name:    "serve",
		args:    "[--roles webhook,workers,renewer,console]",
		summary: "runs the service, or some of its roles, until SIGTERM",
		help: strings.TrimSpace(`
webhook answers Microsoft Graph, workers bring sessions in line with Outlook, renewer keeps the
subscriptions alive, console is the platform's API. On SIGTERM or Ctrl-C it takes no more work,
finishes what is in hand and exits with status 0; a second signal ends it at once.

Settings, from the environment. Secrets can be given as files. An empty variable is one not set.

` + variables()),
		run: runServe,
	}
}

// variables is the table of all settings.
func variables() string {
	var text strings.Builder
	if err := config.WriteUsage(&text); err != nil {
		return err.Error()
	}
	return strings.TrimRight(text.String(), "\n")
}

func runServe(ctx context.Context, cmd command, inv *invocation) error {
	chosen := allRoles()
	if err := inv.noArguments(cmd, func(flags *flag.FlagSet) {
		flags.Var(&chosen, "roles", "one or more of "+allRoles().String()+", separated by commas")
	}); err != nil {
		return err
	}
	cfg, err := config.Load(chosen.needs()...)
	if err != nil {
		return err
	}
	log := ops.NewLogger(inv.stderr, cfg.LogLevel, cfg.LogFormat)
	doors, err := openDoors(ctx, cfg, chosen, log)
	if err != nil {
		return err
	}
	s, err := newService(cfg, chosen, inv.build, log, doors)
	if err != nil {
		doors.close()
		return err
	}
	return s.serve(ctx)
}

// serve starts everything, waits until ctx ends or a part fails, and ends everything.
func (s *service) serve(ctx context.Context) error {
	err := s.start(ctx)
	if err == nil {
		s.log.InfoContext(ctx, "serving", slog.String("roles", s.roles.String()), slog.String("version", s.build.Version),
			slog.String("webhook", s.doors.webhook.addr()), slog.String("console", s.doors.console.addr()), slog.String("ops", s.doors.ops.addr()))
		err = s.parts.wait(ctx)
		s.log.InfoContext(ctx, "draining")
	} else if ctx.Err() != nil {
		err = nil // Asked to end while it was starting: that is no failure.
	}
	if stopErr := s.stop(ctx); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	s.log.InfoContext(ctx, "stopped")
	return err
}
