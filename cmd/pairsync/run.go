package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"pairsync/internal/config"
	"pairsync/ops"
)

// The exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1
	exitMisused = 2
)

// invocation is one call of one subcommand.
type invocation struct {
	args   []string
	stdout io.Writer
	stderr io.Writer
	build  ops.Build
}

// say writes a line for people to standard output.
func (inv *invocation) say(format string, args ...any) {
	// Nobody can be told that standard output is gone.
	_, _ = fmt.Fprintf(inv.stdout, format+"\n", args...)
}

// command is one subcommand.
type command struct {
	name string
	// args is what stands behind the name in its usage line.
	args    string
	summary string
	// help is the rest of its help text; whole sentences.
	help string
	run  func(ctx context.Context, cmd command, inv *invocation) error
}

// commands are all subcommands, in the order of the help.
func commands() []command {
	return []command{
		serveCommand(), demoCommand(), simulatorCommand(), migrateCommand(), doctorCommand(), deadLettersCommand(), versionCommand(),
	}
}

// run is the whole program: it returns the exit status. It ends soon, having drained, after ctx has ended.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	inv := &invocation{stdout: stdout, stderr: stderr, build: ops.ReadBuild(version, commit)}
	if len(args) == 0 {
		writeUsage(stderr)
		return exitMisused
	}
	name := args[0]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		return help(ctx, args[1:], stdout, stderr)
	}
	if slices.Contains([]string{"-v", "-version", "--version"}, name) {
		name = "version"
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			inv.args = args[1:]
			return report(name, cmd.run(ctx, cmd, inv), stderr)
		}
	}
	if strings.HasPrefix(name, "-") {
		return report("", misused("%s is not a flag of pairsync; it takes a command first, pairsync help lists them", name), stderr)
	}
	return report("", misused("%q is not a command; pairsync help lists them", name), stderr)
}

// help writes the general help, or that of one command.
func help(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		writeUsage(stdout)
		return exitOK
	}
	for _, cmd := range commands() {
		if cmd.name == args[0] {
			return report(cmd.name, cmd.run(ctx, cmd, &invocation{args: []string{"--help"}, stdout: stdout, stderr: stderr}), stderr)
		}
	}
	return report("help", misused("%q is not a command; pairsync help lists them", args[0]), stderr)
}

// report writes what went wrong, one line for each thing, and returns the exit status for it.
func report(name string, err error, stderr io.Writer) int {
	status := exitFailed
	misuse, isMisuse := errors.AsType[*misuseError](err)
	configuration, isConfiguration := errors.AsType[*config.Error](err)
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitOK
	case errors.Is(err, errUnwell):
		return exitFailed // The doctor has said everything.
	case isMisuse:
		status, err = exitMisused, misuse
	case isConfiguration:
		status, err = exitMisused, configuration
	}
	label := strings.TrimSpace("pairsync " + name)
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", label, line)
	}
	return status
}

func writeUsage(w io.Writer) {
	var text strings.Builder
	text.WriteString("pairsync keeps mentoring sessions true to Outlook.\n\nUsage: pairsync <command> [flags]\n\nCommands:\n")
	for _, cmd := range commands() {
		_, _ = fmt.Fprintf(&text, "  %-12s %s\n", cmd.name, cmd.summary)
	}
	text.WriteString("\npairsync <command> --help tells more about one of them.\n" +
		"Settings come from environment variables; pairsync serve --help lists them.\n")
	_, _ = io.WriteString(w, text.String())
}
