package simulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"sync"
	"time"
)

// grantCode is what an application gets at its redirect URI after a person has signed in and consented, to be traded for tokens
// once.
type grantCode struct {
	app, redirect, challenge, nonce string
	box                             *mailbox
	scopes                          []string
	expires                         time.Time
	used                            bool
}

// proves says whether a verifier is the one whose hash came with the sign-in (RFC 7636, method S256). A sign-in without a
// challenge takes none.
func (c *grantCode) proves(verifier string) bool {
	if c.challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(c.challenge)) == 1
}

// codes are those that are out. They don't outlive the process: an application asks again.
type codes struct {
	mu   sync.Mutex
	list map[string]*grantCode
}

func newCodes() *codes { return &codes{list: map[string]*grantCode{}} }

// add gives a code its name. What has been expired for as long as it lived is forgotten.
func (cs *codes) add(c *grantCode, life time.Duration) string {
	now := time.Now()
	name := "1." + base64.RawURLEncoding.EncodeToString(randomBytes(48))
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for old, o := range cs.list {
		if now.After(o.expires.Add(life)) {
			delete(cs.list, old)
		}
	}
	c.expires = now.Add(life)
	cs.list[name] = c
	return name
}

// take marks a code as used; before is whether it was so already. The code is nil when there is none of that name.
func (cs *codes) take(name string) (c *grantCode, before bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c = cs.list[name]
	if c == nil {
		return nil, false
	}
	before = c.used
	c.used = true
	return c, before
}
