// Package console is the platform's way in: the HTTP API of mentoring platforms below /v1, described by the OpenAPI 3.1
// document that it serves itself at /v1/openapi.json.
//
// It promises that a write is idempotent (PUT by the platform's own ids), that a token which is limited to one tenant
// cannot tell another tenant from one that doesn't exist, that every refusal is one problem document (RFC 9457) naming the
// field and how to mend it, and that the change feed and its stream skip nothing and repeat nothing behind a cursor.
//
// It is also where organisations and people get connected: it makes the links that lead to Microsoft, and answers the browsers
// that come back with pages that may load nothing but a stylesheet. Of what such a browser brings nothing is believed.
//
// It writes nothing to Outlook: what a request wants there is written to the database, and the workers hear of it. Microsoft
// Graph is only asked, for free/busy times, for the connection test and for who signed in. It never logs a path, an id, a name
// or a token.
package console
