// Package ops is what an operator sees of a running pairsync: metrics, health, readiness, profiles, logs and traces.
//
// It promises that the state gauges (queues, outbox, subscriptions, mailboxes) are true at the moment of the scrape, and
// that one source which fails or hangs costs only its own gauges, never the scrape. It registers nothing globally but the
// tracer, which OpenTelemetry wants so, and it imports no other package of this module: whoever wires the program hands in
// functions.
package ops
