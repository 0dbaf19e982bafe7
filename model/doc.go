// Package model says what a tenant, a participant, a mentoring session, an RSVP, a change and a subscription are, computes
// what differs between a session as stored and its event as observed in Outlook, and is the only code that talks to
// PostgreSQL.
//
// Two promises hold everything else up. Reconcile is pure: any order and any repetition of observations of one event ends
// in the same session as its last truth, and no true change is reported twice. Store commits a session, one row per change
// and one outbox row per change in one transaction, and hands changes out in commit order with nothing skipped.
//
// It never talks to Microsoft Graph or NATS, and imports no other package of this module.
package model
