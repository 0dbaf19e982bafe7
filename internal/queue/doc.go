// Package queue is pairsync's JetStream: its streams and consumers, the publishing of hints with confirmation, the words in
// which a handler tells what is to become of a message, and the dead letters.
//
// It promises that an accepted message is never lost: a full stream refuses to take more, a message leaves its stream only
// when its handler is done with it or when it stands among the dead letters, and whatever a crash leaves behind is
// delivered again. It does not promise that a message is delivered once, or in order. Handlers look at the truth and not at
// the message, so that neither matters.
//
// Hints about one event that wait at the same time are handed over together, as one Group, and a process never works on
// one event twice at a time.
package queue
