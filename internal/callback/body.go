package callback

import (
	"encoding/json"
	"fmt"
	"time"
)

// Body is a message's JSON as users of the scheme expect it.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
type Body struct {
	// Type has words with full stops in between, the most general first.
	Type string `json:"type"`
	// Timestamp is when what the message tells of happened; not when it was sent, which is in a header.
	Timestamp time.Time `json:"timestamp"`
	// Data is what happened.
	Data any `json:"data"`
}

// Encode gives the bytes that are signed and sent.
func (b Body) Encode() ([]byte, error) {
	encoded, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding the body: %w", err)
	}
	return encoded, nil
}
