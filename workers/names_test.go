package workers_test

import (
	"context"

	"pairsync/workers"
)

// Short names for what nearly every test mentions.
type (
	ctx    = context.Context
	config = workers.Config
)

// paced is the pace of tests with a change to it.
func paced(edit func(*config)) config {
	var c config
	edit(&c)
	return c
}
