package workers_test

import (
	"context"
	"sync"
	"time"

	"pairsync/internal/graph"
)

// entra tells what a test wants it to.
type entra struct {
	mu sync.Mutex
	// answers are by tenant; one that is not there gets neither token nor refusal.
	answers map[string]answer
	asked   map[string]int
	// expiresAt is when the certificate expires; zero means that it can't be known.
	expiresAt time.Time
}

type answer struct {
	roles []string
	err   error
	// tid is another organisation than was asked for.
	tid string
	// hangs means that nothing is answered until the caller gives up.
	hangs bool
}

func (e *entra) set(tenant string, a answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answers == nil {
		e.answers = make(map[string]answer)
	}
	e.answers[tenant] = a
}

func (e *entra) times(tenant string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[tenant]
}

// TokenTenant answers as set.
func (e *entra) TokenTenant(ctx context.Context, tenant string) (string, []string, error) {
	e.mu.Lock()
	if e.asked == nil {
		e.asked = make(map[string]int)
	}
	e.asked[tenant]++
	a, ok := e.answers[tenant]
	e.mu.Unlock()
	switch {
	case !ok:
		return "", nil, &graph.Error{Kind: graph.KindUnavailable, Reason: graph.ReasonNetwork}
	case a.hangs:
		<-ctx.Done()
		return "", nil, ctx.Err()
	case a.err != nil:
		return "", nil, a.err
	case a.tid != "":
		return a.tid, a.roles, nil
	}
	return tenant, a.roles, nil
}

// CredentialExpiry answers as set.
func (e *entra) CredentialExpiry() (time.Time, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.expiresAt, !e.expiresAt.IsZero(), nil
}
