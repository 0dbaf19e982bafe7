package model

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// A sealed secret is:
//
//	format (1) | key id (4) | nonce (12) | AES-256-GCM of the plaintext, with its tag (16)
//
// The key is derived from a secret key and the purpose, and what comes before the nonce is authenticated too.
const (
	sealFormat   = 1
	sealKeyIDLen = 4
	sealKeyLen   = 32
	sealHeadLen  = 1 + sealKeyIDLen
)

// ErrSealed says that a sealed secret can't be opened: it was sealed with a key that is not there any more, for another
// purpose, or is not what Seal made.
var ErrSealed = errors.New("sealed secret can't be opened")

// Purpose is what a secret is for. What was sealed for one purpose can't be opened for another.
type Purpose string

// The purposes.
const (
	PurposeRefreshToken   Purpose = "refresh-token"
	PurposeCallbackSecret Purpose = "callback-secret"
	PurposeVerifier       Purpose = "pkce-verifier"
)

// Sealer seals secrets before they are stored. It is safe for concurrent use.
type Sealer struct {
	// keys holds the sealing key first.
	keys []sealKey
}

type sealKey struct {
	id     [sealKeyIDLen]byte
	secret []byte
}

// NewSealer takes the service's secret keys, each of at least 32 bytes: the first one seals, all of them open.
func NewSealer(keys [][]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("sealer: no secret key")
	}
	s := &Sealer{keys: make([]sealKey, 0, len(keys))}
	for i, key := range keys {
		if len(key) < sealKeyLen {
			return nil, fmt.Errorf("sealer: secret key %d has %d bytes, want at least %d", i+1, len(key), sealKeyLen)
		}
		id, err := hkdf.Key(sha256.New, key, nil, "pairsync seal id", sealKeyIDLen)
		if err != nil {
			return nil, fmt.Errorf("sealer: deriving from secret key %d: %w", i+1, err)
		}
		k := sealKey{id: [sealKeyIDLen]byte(id), secret: slices.Clone(key)}
		if s.key(k.id) != nil {
			return nil, fmt.Errorf("sealer: secret key %d is there twice", i+1)
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

func (s *Sealer) key(id [sealKeyIDLen]byte) *sealKey {
	for i := range s.keys {
		if s.keys[i].id == id {
			return &s.keys[i]
		}
	}
	return nil
}

// Seal encrypts a secret for a purpose. The same secret gives something else each time.
func (s *Sealer) Seal(purpose Purpose, plaintext []byte) ([]byte, error) {
	k := &s.keys[0]
	aead, err := k.aead(purpose)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	head := append([]byte{sealFormat}, k.id[:]...)
	return append(head, aead.Seal(nil, nil, plaintext, head)...), nil //nolint:gosec // The AEAD draws the nonce itself.
}

// Open decrypts what Seal has sealed for the same purpose. The error is ErrSealed when that can't be done.
func (s *Sealer) Open(purpose Purpose, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHeadLen || sealed[0] != sealFormat {
		return nil, ErrSealed
	}
	k := s.key([sealKeyIDLen]byte(sealed[1:sealHeadLen]))
	if k == nil {
		return nil, ErrSealed
	}
	aead, err := k.aead(purpose)
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	plaintext, err := aead.Open(nil, nil, sealed[sealHeadLen:], sealed[:sealHeadLen])
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

func (k *sealKey) aead(purpose Purpose) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "pairsync seal "+string(purpose), sealKeyLen)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
