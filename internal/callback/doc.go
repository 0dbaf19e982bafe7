// Package callback POSTs signed messages to receivers that somebody else chose.
//
// Messages are signed by the Standard Webhooks scheme, with the scheme's own library: webhook-id, webhook-timestamp and
// webhook-signature, the last with one signature for every secret that is valid. https://www.standardwebhooks.com
//
// What it promises: no connection is ever opened to an address that is not on the public internet, unless that is allowed;
// the address is judged when the connection is made, so that a name which resolves to something else the second time changes
// nothing. Redirects are not followed, an answer is read only as far as a small bound, and a call ends in a bounded time.
//
// What it never does: retry, or go through a proxy (a proxy would make the connection in our place, unjudged).
package callback
