package queue

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/model"
)

// headerMsgID is by what JetStream recognises a message that it has had.
const headerMsgID = jetstream.MsgIDHeader

// hintKey is the identity of the version of the event that a hint speaks of. A hint without a change key has none: two such
// hints may be two changes, whatever the time between them.
func hintKey(h *model.Hint) (k messageKey, ok bool) {
	if h.ChangeKey == "" || h.EventID == "" {
		return k, false
	}
	buf := make([]byte, 0, 512)
	for _, part := range [...]string{h.Tenant, h.Mailbox, h.SubscriptionID, string(h.ChangeType), h.EventID, h.ChangeKey} {
		buf = binary.AppendUvarint(buf, uint64(len(part)))
		buf = append(buf, part...)
	}
	sum := sha256.Sum256(buf)
	copy(k[:], sum[:])
	return k, true
}

func (k messageKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// hintMessage builds the message of a hint. Its header map is its own, so that a batch can add to it; trace is what inject made
// for the whole call.
func hintMessage(h *model.Hint, key messageKey, keyed bool, trace nats.Header) *nats.Msg {
	header := make(nats.Header, len(trace)+4)
	maps.Copy(header, trace)
	if keyed {
		header[headerMsgID] = []string{key.String()}
	}
	return &nats.Msg{
		Subject: notificationSubject(h.Tenant, h.Mailbox),
		Header:  header,
		Data:    appendHint(make([]byte, 0, 512), h),
	}
}

// appendHint appends the hint's compact JSON, as encoding/json would read it back.
func appendHint(b []byte, h *model.Hint) []byte {
	b = appendField(append(b, '{'), "tenant", h.Tenant)
	b = appendField(append(b, ','), "mailbox", h.Mailbox)
	for _, f := range [...]struct{ name, value string }{
		{"subscription", h.SubscriptionID},
		{"change_type", string(h.ChangeType)},
		{"lifecycle", string(h.Lifecycle)},
		{"event", h.EventID},
		{"change_key", h.ChangeKey},
	} {
		if f.value != "" {
			b = appendField(append(b, ','), f.name, f.value)
		}
	}
	b = append(b, `,"received_at":"`...)
	b = h.ReceivedAt.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"', '}')
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	// The only error is invalid UTF-8, and then the text with replacement characters has been appended all the same.
	b, _ = jsontext.AppendQuote(b, value)
	return b
}
