package config

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

// ours returns the full names of all variables with our prefix.
func ours() ([]string, error) {
	var names strings.Builder
	if err := envconfig.Usagef(prefix, &environment{}, &names, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		return nil, fmt.Errorf("listing the variables: %w", err)
	}
	return strings.Fields(names.String()), nil
}

// WriteUsage writes a table of all variables, their defaults and what they mean.
func WriteUsage(w io.Writer) error {
	table := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	const line = "{{range .}}  {{usage_key .}}\t{{usage_default .}}\t{{usage_description .}}\n{{end}}"
	if err := envconfig.Usagef(prefix, &environment{}, table, line); err != nil {
		return fmt.Errorf("writing the variables: %w", err)
	}
	if err := envconfig.Usagef("", &foreign{}, table, line); err != nil {
		return fmt.Errorf("writing the variables: %w", err)
	}
	return table.Flush()
}

// serviceLink tells whether a variable is one that Kubernetes adds for a Service whose name begins with "pairsync":
// <SERVICE>_SERVICE_HOST, <SERVICE>_SERVICE_PORT[_NAME], <SERVICE>_PORT and <SERVICE>_PORT_<n>_TCP[_…].
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
func serviceLink(name, value string) bool {
	link := regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	if link.MatchString(name) {
		return true
	}
	return strings.HasSuffix(name, "_PORT") && regexp.MustCompile(`^(tcp|udp|sctp)://`).MatchString(value)
}

// unknown says that nobody knows the variable, and which was probably meant.
func unknown(name string, known []string) string {
	best, distance := "", 4
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best != "" {
		return "is not a variable of pairsync; did you mean " + best + "?"
	}
	return "is not a variable of pairsync; pairsync serve --help lists them"
}

// editDistance returns how many letters must be added, removed or replaced to make a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// asParseError tells whether envconfig could not parse a variable.
func asParseError(err error) (*envconfig.ParseError, bool) {
	return errors.AsType[*envconfig.ParseError](err)
}
