package model

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
)

// Graph's subscription page bounds clientState at 128 characters; its changeNotification page says 255. The smaller one
// holds. https://learn.microsoft.com/graph/api/resources/subscription
const maxClientStateLen = 128

// A client state is, before it is written in unpadded URL-safe base64:
//
//	format (1) | key id (4) | tenant | mailbox | nonce (8) | tag (16)
//
// An id is its length in one byte and then its bytes; length 0 announces a GUID packed into 16 bytes. The tag is HMAC-SHA-256
// over all that goes before it, cut to 16 bytes.
const (
	clientStateFormat   = 1
	clientStateKeyIDLen = 4
	clientStateNonceLen = 8
	clientStateTagLen   = 16
	clientStateKeyLen   = 32
	guidLen             = 36
	packedGUIDLen       = 16
)

// ClientStates makes and proves the clientState of subscriptions: a keyed MAC over tenant and mailbox that carries both, so
// that the door recognises a notification as ours with no look-up. It is safe for concurrent use.
type ClientStates struct {
	// keys holds the signing key first.
	keys []clientStateKey
}

type clientStateKey struct {
	id   [clientStateKeyIDLen]byte
	macs *sync.Pool // of *clientStateMAC
}

// clientStateMAC is a keyed hash with room for what it reads and its sum, kept together so that proving an item allocates
// nothing but the ids.
type clientStateMAC struct {
	hash hash.Hash
	in   [maxClientStateLen]byte
	sum  [sha256.Size]byte
}

// NewClientStates takes the service's secret keys, each of at least 32 bytes: the first one signs, all of them verify. The
// keys themselves are never used; a subkey for this purpose alone is derived from each.
func NewClientStates(keys [][]byte) (*ClientStates, error) {
	if len(keys) == 0 {
		return nil, errors.New("client states: no secret key")
	}
	c := &ClientStates{keys: make([]clientStateKey, 0, len(keys))}
	for i, key := range keys {
		if len(key) < clientStateKeyLen {
			return nil, fmt.Errorf("client states: secret key %d has %d bytes, want at least %d", i+1, len(key), clientStateKeyLen)
		}
		k, err := newClientStateKey(key)
		if err != nil {
			return nil, fmt.Errorf("client states: deriving from secret key %d: %w", i+1, err)
		}
		if c.key(k.id[:]) != nil {
			return nil, fmt.Errorf("client states: secret key %d is there twice", i+1)
		}
		c.keys = append(c.keys, k)
	}
	return c, nil
}

func newClientStateKey(secret []byte) (clientStateKey, error) {
	// One derivation gives the subkey and its public name, so the name says nothing about the key.
	out, err := hkdf.Key(sha256.New, secret, nil, "pairsync client-state", clientStateKeyLen+clientStateKeyIDLen)
	if err != nil {
		return clientStateKey{}, err
	}
	sub, k := out[:clientStateKeyLen], clientStateKey{}
	copy(k.id[:], out[clientStateKeyLen:])
	k.macs = &sync.Pool{New: func() any { return &clientStateMAC{hash: hmac.New(sha256.New, sub)} }}
	return k, nil
}

// Sign makes a clientState for a subscription to the mailbox's events. GUIDs may be in any case and are proved in lower case;
// other ids are kept to the byte. It fails when an id is empty or when both together don't fit the 128 characters that Graph
// allows. Two calls with the same arguments give two different values.
func (c *ClientStates) Sign(tenant, mailbox string) (string, error) {
	if len(c.keys) == 0 {
		return "", errors.New("signing client state: no secret key")
	}
	key := &c.keys[0]
	raw := make([]byte, 0, base64.RawURLEncoding.DecodedLen(maxClientStateLen))
	raw = append(raw, clientStateFormat)
	raw = append(raw, key.id[:]...)
	raw, err := appendClientStateID(raw, tenant)
	if err != nil {
		return "", fmt.Errorf("signing client state: tenant: %w", err)
	}
	raw, err = appendClientStateID(raw, mailbox)
	if err != nil {
		return "", fmt.Errorf("signing client state: mailbox: %w", err)
	}
	var nonce [clientStateNonceLen]byte
	_, _ = rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	raw = append(raw, nonce[:]...)
	if n := base64.RawURLEncoding.EncodedLen(len(raw) + clientStateTagLen); n > maxClientStateLen {
		return "", fmt.Errorf("signing client state: %d characters, Graph takes %d: the ids are too long", n, maxClientStateLen)
	}
	mac := key.mac(raw)
	raw = append(raw, mac.sum[:clientStateTagLen]...)
	key.macs.Put(mac)
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// Verify tells whose subscription a clientState belongs to. ok is false for everything that no key of ours has signed, and
// then tenant and mailbox are empty. The tag is compared in constant time.
func (c *ClientStates) Verify(clientState string) (tenant, mailbox string, ok bool) {
	if len(clientState) > maxClientStateLen {
		return "", "", false
	}
	// Both buffers stay on the stack.
	var text, buf [maxClientStateLen]byte
	n, err := base64.RawURLEncoding.Strict().Decode(buf[:], text[:copy(text[:], clientState)])
	// The decoder skips line ends; a value of ours has none, and each must have one spelling only.
	if err != nil || base64.RawURLEncoding.EncodedLen(n) != len(clientState) {
		return "", "", false
	}
	if n < 1+clientStateKeyIDLen+clientStateTagLen || buf[0] != clientStateFormat {
		return "", "", false
	}
	signed, tag := buf[:n-clientStateTagLen], buf[n-clientStateTagLen:n]
	key := c.key(signed[1 : 1+clientStateKeyIDLen])
	if key == nil {
		return "", "", false
	}
	mac := key.mac(signed)
	equal := hmac.Equal(mac.sum[:clientStateTagLen], tag)
	key.macs.Put(mac)
	if !equal {
		return "", "", false
	}
	rest := signed[1+clientStateKeyIDLen:]
	tenant, rest, okTenant := cutClientStateID(rest)
	mailbox, rest, okMailbox := cutClientStateID(rest)
	if !okTenant || !okMailbox || len(rest) != clientStateNonceLen {
		return "", "", false
	}
	return tenant, mailbox, true
}

func (c *ClientStates) key(id []byte) *clientStateKey {
	i := slices.IndexFunc(c.keys, func(k clientStateKey) bool { return bytes.Equal(k.id[:], id) })
	if i < 0 {
		return nil
	}
	return &c.keys[i]
}

// mac returns a borrowed hash whose sum is that of signed, which is at most maxClientStateLen long; the caller puts it back.
func (k *clientStateKey) mac(signed []byte) *clientStateMAC {
	m, _ := k.macs.Get().(*clientStateMAC)
	m.hash.Reset()
	// What goes through the hash.Hash interface escapes to the heap; the copy keeps the caller's bytes on its stack.
	m.hash.Write(m.in[:copy(m.in[:], signed)])
	m.hash.Sum(m.sum[:0])
	return m
}

func appendClientStateID(dst []byte, id string) ([]byte, error) {
	switch {
	case id == "":
		return nil, errors.New("empty id")
	case len(id) > maxClientStateLen:
		return nil, fmt.Errorf("id of %d bytes is too long", len(id))
	}
	if packed, ok := packGUID(id); ok {
		return append(append(dst, 0), packed[:]...), nil
	}
	return append(append(dst, byte(len(id))), id...), nil //nolint:gosec // At most maxClientStateLen.
}

func cutClientStateID(b []byte) (id string, rest []byte, ok bool) {
	if len(b) == 0 {
		return "", nil, false
	}
	n := int(b[0])
	b = b[1:]
	if n == 0 {
		if len(b) < packedGUIDLen {
			return "", nil, false
		}
		return unpackGUID(b[:packedGUIDLen]), b[packedGUIDLen:], true
	}
	if len(b) < n {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

// packGUID reads the 8-4-4-4-12 form, in any case.
func packGUID(s string) (packed [packedGUIDLen]byte, ok bool) {
	if len(s) != guidLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return packed, false
	}
	var digits [2 * packedGUIDLen]byte
	n := copy(digits[:], s[:8])
	n += copy(digits[n:], s[9:13])
	n += copy(digits[n:], s[14:18])
	n += copy(digits[n:], s[19:23])
	copy(digits[n:], s[24:])
	_, err := hex.Decode(packed[:], digits[:])
	return packed, err == nil
}

func unpackGUID(b []byte) string {
	var digits [2 * packedGUIDLen]byte
	hex.Encode(digits[:], b)
	s := make([]byte, 0, guidLen)
	for i, from := range [...]int{0, 8, 12, 16, 20} {
		if i > 0 {
			s = append(s, '-')
		}
		s = append(s, digits[from:[...]int{8, 12, 16, 20, 32}[i]]...)
	}
	return string(s)
}
