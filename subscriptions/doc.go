// Package subscriptions keeps a Graph subscription alive for every mailbox that organises an upcoming session, and for no
// other.
//
// What to do about one subscription is decided by plan, which is pure: it is told the time, whether the subscription is
// wanted and how it stands, and names one step. The Renewer claims rows that are due under a lease, takes that step, and
// writes when somebody must look again. Any number of Renewers share the work and none is a leader.
//
// What it promises: a row and its client state are written before Graph is asked to create, because the handshake and the
// first notifications come before Graph's answer; a subscription is renewed from half of its life on, so that dozens of
// tries fit before it lapses, however short the life that Graph grants; renewal and reauthorization are never sent within
// ten minutes of each other; whenever notifications may have been missed, the mailbox's sessions are verified again. One
// organisation's trouble does not delay another's, and a mailbox's trouble cancels nothing.
package subscriptions
