package testbed

import (
	"context"
	"testing"

	"pairsync/model"
)

// migrate brings the template's schema up to date.
func migrate(ctx context.Context, url string) error { return model.Migrate(ctx, url) }

// Store returns a store on a fresh, migrated database; both end with the test.
func Store(t testing.TB) *model.Store {
	t.Helper()
	s, err := model.Open(t.Context(), model.Config{URL: DatabaseURL(t), MaxConns: 8})
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}
