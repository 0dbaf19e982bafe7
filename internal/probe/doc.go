// Package probe tries a way over the network one hop after the other and says at which it ends, in words that whoever can mend
// it understands: the name, the connection, the certificate, something in between that answers in our place, the time that
// it takes, or the answer itself.
//
// It sends nothing but what it is told to try, follows no redirects, and never shows a URL's query or what an answer holds.
package probe
