// Package graph talks to Microsoft Graph and to Entra over HTTP, for the few calls that pairsync makes: read an event,
// many events, the instances of a series or an event by its iCalUId; find a mailbox; and keep subscriptions.
//
// What it promises: every call asks for immutable ids and for UTC; no property is selected beyond what a mentoring session
// needs, so no subject, body or place ever enters the process; at most MailboxConcurrency calls are under way for one
// mailbox and Concurrency for the process, batches included; a mailbox that was told to wait is left alone until then;
// every failure is an *Error of a closed set of kinds, made in one place. It never retries by itself except once, with a
// new token, after a 401; waiting is the caller's business, so that a throttled mailbox never holds a worker.
//
// Requests are built by msgraph-sdk-go and sent through its pipeline, tokens come from azidentity. Answers are decoded into
// structs of our own: with the SDK's models a reading takes more than three times the CPU (see BenchmarkEvent).
//
// It logs no message, address, subject or body; Graph's request-id is what support asks for, and it is in every Error.
package graph
