// Package workers brings Outlook's changes into the sessions and the sessions' changes out to the platform. It has three
// parts, and Run runs them all.
//
// Reconcile takes hints from the queue, folded by event, and reads the event as it is now: a hint is a reason to look and
// never a fact. Hints for events that no session is tied to end after one look-up, without a call to Graph. What differs
// is committed by model.Store; look-ups and commits that wait at the same time share a statement and a transaction, and so do
// readings that wait for their tenant's turn share a call.
//
// Sweep reads every upcoming session again within SweepInterval, whatever the hints say, and at once what was just linked or
// what somebody made due. It reads known events by their ids, never a calendar.
//
// Relay publishes each committed change to NATS, none lost, and none of one session before its elders.
//
// The Steward, which is run beside them, looks after those who are served: receivers of changes, owners of integrations, and
// organisations that are to be connected.
//
// What it promises: one 404 never cancels a session; trouble with a mailbox, a tenant, Graph, PostgreSQL or NATS never
// cancels one either, never makes a dead letter, and delays nobody but those it concerns; whatever is handed in ends in
// exactly one outcome of pairsync_reconciles_total.
//
// What it never does: act on what a notification says, read an event that is nobody's session, or write to Outlook.
package workers
