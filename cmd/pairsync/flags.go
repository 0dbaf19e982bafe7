package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// errHelp says that help was asked for and has been given.
var errHelp = errors.New("help was asked for")

// misuseError says that the command line can't be used as it stands. Its text names the flag or argument and what it takes.
type misuseError struct{ message string }

// Error returns the message.
func (e *misuseError) Error() string { return e.message }

func misused(format string, args ...any) error { return &misuseError{fmt.Sprintf(format, args...)} }

// parse reads the flags of a command and returns what stands behind them. The usage text of a flag says what it takes, so
// that it serves the help and the error alike.
func (inv *invocation) parse(cmd command, define func(*flag.FlagSet)) ([]string, error) {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if define != nil {
		define(flags)
	}
	err := flags.Parse(inv.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		writeHelp(inv.stdout, cmd, flags)
		return nil, errHelp
	case err != nil:
		return nil, inPlainWords(err, cmd, flags)
	}
	return flags.Args(), nil
}

// noArguments is parse for commands that take flags only.
func (inv *invocation) noArguments(cmd command, define func(*flag.FlagSet)) error {
	rest, err := inv.parse(cmd, define)
	if err == nil && len(rest) > 0 {
		return misused("%q is not expected; pairsync %s takes no arguments but its flags", rest[0], cmd.name)
	}
	return err
}

// inPlainWords turns what the flag package says into a line that names the flag and what it takes.
func inPlainWords(err error, cmd command, flags *flag.FlagSet) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return misused("--%s is not a flag of pairsync %s; pairsync %s --help lists them", strings.TrimPrefix(name, "-"), cmd.name, cmd.name)
	}
	named := regexp.MustCompile(`(?:for flag|for|needs an argument:) -([a-z-]+)(?::|$)`).FindStringSubmatch(text)
	if named != nil {
		if _, rest, own := strings.Cut(text, ": --"+named[1]+" "); own {
			return misused("--%s %s", named[1], rest)
		}
		if f := flags.Lookup(named[1]); f != nil {
			return misused("--%s takes %s", f.Name, f.Usage)
		}
	}
	return misused("%s", text)
}

func writeHelp(w io.Writer, cmd command, flags *flag.FlagSet) {
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "%s\n\nUsage: %s\n", sentence(cmd.summary), strings.TrimSpace("pairsync "+cmd.name+" "+cmd.args))
	if cmd.help != "" {
		_, _ = fmt.Fprintf(&text, "\n%s\n", cmd.help)
	}
	first := true
	flags.VisitAll(func(f *flag.Flag) {
		if first {
			text.WriteString("\nFlags:\n")
			first = false
		}
		_, _ = fmt.Fprintf(&text, "  --%-12s %s", f.Name, f.Usage)
		if f.DefValue != "" && f.DefValue != "false" {
			_, _ = fmt.Fprintf(&text, " (default %s)", f.DefValue)
		}
		text.WriteString("\n")
	})
	_, _ = io.WriteString(w, text.String())
}

// sentence makes a summary stand alone.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
