package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Token is a bearer token that the API knows.
type Token struct {
	// Name is what logs call the token. Two tokens may share it while one replaces the other.
	Name string
	// Tenant is the only tenant that the token may see and change; empty for a token without limits.
	Tenant string
	// Secret is what comes after "Bearer".
	Secret string
}

// principal is whoever sent a request, as the token says.
type principal struct {
	name string
	// tenant is empty when the token is not limited to one.
	tenant string
}

// sees says whether the principal may know that the tenant exists.
func (p principal) sees(tenant string) bool {
	return p.tenant == "" || p.tenant == tenant
}

// tokens are the hashes of all known tokens. A hash has one length whatever the token's, so comparing two takes one time.
type tokens []knownToken

type knownToken struct {
	hash [sha256.Size]byte
	who  principal
}

func newTokens(list []Token) (tokens, error) {
	var known tokens
	for _, t := range list {
		if t.Name == "" {
			return nil, errors.New("console: an API token has no name")
		}
		if t.Secret == "" || strings.TrimSpace(t.Secret) != t.Secret {
			return nil, fmt.Errorf("console: API token %q is empty or has spaces around it", t.Name)
		}
		k := knownToken{hash: sha256.Sum256([]byte(t.Secret)), who: principal{name: t.Name}}
		if t.Tenant != "" {
			tenant, ok := canonicalTenant(t.Tenant)
			if !ok {
				return nil, fmt.Errorf("console: API token %q is limited to %q, which is not a tenant id", t.Name, t.Tenant)
			}
			k.who.tenant = tenant
		}
		for _, other := range known {
			if other.hash == k.hash {
				return nil, fmt.Errorf("console: API tokens %q and %q are the same token", other.who.name, t.Name)
			}
		}
		known = append(known, k)
	}
	return known, nil
}

// principal finds who sent the request. Every known token is compared, whichever fits, in constant time.
func (t tokens) principal(r *http.Request) (principal, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	secret = strings.TrimSpace(secret)
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return principal{}, newProblem(kindUnauthorized, "send the header Authorization: Bearer <token>")
	}
	hash := sha256.Sum256([]byte(secret))
	var who principal
	found := 0
	for _, k := range t {
		same := subtle.ConstantTimeCompare(hash[:], k.hash[:])
		found |= same
		if same == 1 {
			who = k.who
		}
	}
	if found == 0 {
		return principal{}, newProblem(kindUnauthorized, "the token is not known; tokens are set in PAIRSYNC_API_TOKENS")
	}
	return who, nil
}
