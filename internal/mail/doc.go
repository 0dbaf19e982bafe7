// Package mail sends letters by SMTP: plain text with a simple HTML twin, no pictures, nothing that is fetched from elsewhere.
//
// What it promises: what a letter says stays what it says, whatever is in it (no header can be smuggled into it, no markup);
// an error tells whether the letter certainly was not sent, so that somebody who must not send it twice can decide; and no
// error text holds an address.
//
// What it never does: retry, or give a password to a server that is not encrypted, unless that is on this machine.
package mail
