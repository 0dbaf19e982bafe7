package model_test

import (
	"strings"
	"sync"
	"testing"

	"pairsync/internal/testbed"
	"pairsync/model"
)

// TestMigrate: processes that start together migrate together, and once.
func TestMigrate(t *testing.T) {
	t.Parallel()
	url := testbed.EmptyDatabaseURL(t) + "&pool_max_conns=2"
	if pending, err := model.SchemaPending(t.Context(), url); err != nil || !pending {
		t.Fatalf("an empty database: pending %v, %v", pending, err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := model.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if pending, err := model.SchemaPending(t.Context(), url); err != nil || pending {
		t.Errorf("a migrated database: pending %v, %v", pending, err)
	}
}

func TestMigrateWithoutADatabase(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, url := range []string{"postgres://u:" + secret + "@localhost:1/none?connect_timeout=1", "postgres://u:" + secret + "@[nowhere"} {
		_, pendingErr := model.SchemaPending(t.Context(), url)
		for _, err := range []error{model.Migrate(t.Context(), url), pendingErr} {
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v", err)
			}
		}
	}
}
