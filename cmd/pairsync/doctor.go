package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pairsync/internal/config"
	"pairsync/ops"
)

func doctorCommand() command {
	return command{
		name:    "doctor",
		summary: "checks configuration, database, NATS, sign-in, Graph and the public URL",
		help: "One line for each check: ok, or the failure and how to mend it. The exit status is 1 if any fails. It uses the\n" +
			"same environment as serve, and changes nothing but what it must start itself.",
		run: runDoctor,
	}
}

// errUnwell says that a check has failed; its line has been written already.
var errUnwell = errors.New("not everything is well")

// finding is what one check has found.
type finding struct {
	// detail says what is there, when all is well.
	detail string
	err    error
	// mend says what to do about err.
	mend string
}

func well(format string, args ...any) finding { return finding{detail: fmt.Sprintf(format, args...)} }

func unwell(err error, mend string) finding { return finding{err: err, mend: mend} }

// doctor runs checks and writes a line for each.
type doctor struct {
	inv    *invocation
	failed bool
}

// check runs one check, which gets a minute.
func (d *doctor) check(ctx context.Context, name string, run func(context.Context) finding) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.tell(name, run(ctx))
}

// tell writes the line of a check.
func (d *doctor) tell(name string, f finding) {
	if f.err == nil {
		d.inv.say("ok    %s: %s", name, oneLine(f.detail))
		return
	}
	d.failed = true
	line := oneLine(f.err.Error())
	if f.mend != "" {
		line += " → " + f.mend
	}
	d.inv.say("FAIL  %s: %s", name, line)
}

// oneLine makes one line of a text of many.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func runDoctor(ctx context.Context, cmd command, inv *invocation) error {
	if err := inv.noArguments(cmd, nil); err != nil {
		return err
	}
	d := &doctor{inv: inv}
	cfg, err := config.Load(allRoles().needs()...)
	if bad, ok := errors.AsType[*config.Error](err); ok {
		for _, p := range bad.Problems {
			d.tell("configuration", unwell(fmt.Errorf("%s %s", p.Variable, p.Message), "pairsync serve --help lists all variables"))
		}
		return errUnwell
	}
	if err != nil {
		return err
	}
	d.tell("configuration", well("complete, for all roles"))
	if len(cfg.APITokens) == 0 {
		d.tell("API tokens", well("none, so the API refuses everyone; set PAIRSYNC_API_TOKENS to let the platform in"))
	}

	tenants, known := d.database(ctx, cfg)
	d.nats(ctx, cfg)
	reg, err := ops.NewRegistry(inv.build)
	if err != nil {
		return err
	}
	client, err := newGraph(cfg, inv.build, nil, reg, ops.NewLogger(inv.stderr, cfg.LogLevel, "text"))
	if err != nil {
		d.tell("credential", unwell(err, "check PAIRSYNC_CLIENT_SECRET or PAIRSYNC_CLIENT_CERTIFICATE_FILE"))
	} else {
		d.tokens(ctx, client, tenants, known)
	}
	d.reach(ctx, cfg)
	d.handshake(ctx, cfg)
	if d.failed {
		return errUnwell
	}
	return nil
}
