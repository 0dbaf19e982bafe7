package queue

import (
	"fmt"
	"strings"

	"pairsync/model"
)

// The streams, by the names that the contract gives them.
const (
	StreamNotifications = "PAIRSYNC_NOTIFICATIONS"
	StreamCommands      = "PAIRSYNC_COMMANDS"
	StreamChanges       = "PAIRSYNC_CHANGES"
	StreamDeadLetters   = "PAIRSYNC_DEADLETTERS"
)

// The durable consumers of the two work queues.
const (
	ConsumerReconcile = "reconcile"
	ConsumerApply     = "apply"
)

const (
	prefixNotifications = "pairsync.notifications."
	prefixCommands      = "pairsync.commands."
	prefixChanges       = "pairsync.changes."
	prefixDeadLetters   = "pairsync.deadletters."
)

// escape begins an escaped byte in a token. It may stand in a subject, and no id that we know holds it.
const escape = '='

// EventSubject is what the subject of a committed change is made of.
type EventSubject struct {
	Tenant  string
	Session string
	Kind    model.ChangeKind
}

func (s EventSubject) subject() string {
	return prefixChanges + token(s.Tenant) + "." + token(s.Session) + "." + token(string(s.Kind))
}

// notificationSubject is where the hints about a mailbox go.
func notificationSubject(tenant, mailbox string) string {
	return prefixNotifications + token(tenant) + "." + token(mailbox)
}

// token makes any text a legal token of a subject: letters, digits, hyphens and underscores stay, every other byte becomes
// an equals sign and two hexadecimal digits, and the empty text a lone equals sign. Different texts stay different.
func token(s string) string {
	plain := s != ""
	for i := range len(s) {
		plain = plain && isPlain(s[i])
	}
	if plain {
		return s
	}
	if s == "" {
		return string(escape)
	}
	var b strings.Builder
	for i := range len(s) {
		if isPlain(s[i]) {
			b.WriteByte(s[i])
			continue
		}
		fmt.Fprintf(&b, "%c%02x", escape, s[i])
	}
	return b.String()
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
