package main

import (
	"slices"
	"strings"

	"pairsync/internal/config"
)

// role is a share of the work that a process can take.
type role string

// The roles.
const (
	roleWebhook role = "webhook"
	roleWorkers role = "workers"
	roleRenewer role = "renewer"
	roleConsole role = "console"
)

func allRoles() roles { return roles{roleWebhook, roleWorkers, roleRenewer, roleConsole} }

// roles are the roles of one process.
type roles []role

// Set reads a comma-separated list; it makes roles a flag.Value.
func (r *roles) Set(value string) error {
	var chosen roles
	for word := range strings.SplitSeq(value, ",") {
		name := role(strings.TrimSpace(word))
		if !slices.Contains(allRoles(), name) {
			return misused("--roles takes one or more of %s, separated by commas; %q is none of them", allRoles(), word)
		}
		if !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	*r = chosen
	return nil
}

// String returns the list as Set takes it.
func (r roles) String() string {
	words := make([]string, 0, len(r))
	for _, one := range r {
		words = append(words, string(one))
	}
	return strings.Join(words, ",")
}

// have tells whether at least one of these roles runs.
func (r roles) have(any ...role) bool {
	return slices.ContainsFunc(any, func(one role) bool { return slices.Contains(r, one) })
}

// needs tells which settings the roles can't do without. The door alone never talks to Graph.
func (r roles) needs() []config.Need {
	needs := []config.Need{config.NeedPublicURL, config.NeedKeys}
	if r.have(roleWorkers, roleRenewer, roleConsole) {
		needs = append(needs, config.NeedClient)
	}
	return needs
}

// usesDatabase tells whether a role of this process needs PostgreSQL.
func (r roles) usesDatabase() bool { return r.have(roleWorkers, roleRenewer, roleConsole) }

// usesNATS tells whether a role of this process needs NATS.
func (r roles) usesNATS() bool { return r.have(roleWebhook, roleWorkers) }
