package testbed

import (
	"context"
	"testing"

	"pairsync/model"
)

// migrate brings the template's schema up to date.
func migrate(ctx context.Context, url string) error { return model.Migrate(ctx, url) }

// Store returns a store on a fresh, migrated database; both end with the test.
func Store(tb testing.TB) *model.Store {
	tb.Helper()
	s, err := model.Open(tb.Context(), model.Config{URL: DatabaseURL(tb), MaxConns: 8})
	if err != nil {
		tb.Fatalf("testbed: %v", err)
	}
	tb.Cleanup(s.Close)
	return s
}
