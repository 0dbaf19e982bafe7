package config

import (
	"cmp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the environment.
type Problem struct {
	// Variable is its full name.
	Variable string
	// Message says what the variable takes, and never holds the value of a secret.
	Message string
}

// Error is every problem that Load found, sorted by variable. Its text has one line for each.
type Error struct{ Problems []Problem }

// Error returns one line for each problem: the variable and what it takes.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.Variable+" "+p.Message)
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong while the environment is read.
type problems []Problem

// add notes a problem of one of our variables, given without the prefix.
func (p *problems) add(name, message string) { p.addForeign(variable(name), message) }

// addForeign notes a problem of a variable that has no prefix.
func (p *problems) addForeign(name, message string) {
	*p = append(*p, Problem{Variable: name, Message: message})
}

// err returns nil when nothing is wrong.
func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	slices.SortStableFunc(*p, func(a, b Problem) int { return cmp.Compare(a.Variable, b.Variable) })
	return &Error{Problems: *p}
}

// variable returns the full name of one of our variables.
func variable(name string) string { return prefix + "_" + name }
