// Package embedded starts the two servers that pairsync can bring along when it is told of none: a NATS JetStream server
// in this process, and a local PostgreSQL as a child of it.
//
// Both keep their data below a directory of their own, so that the next start finds it again, and both refuse a directory
// that another process is using. What they acknowledge is on the disk: JetStream syncs before it answers, and PostgreSQL
// runs with its defaults. Nothing is left running when the process ends, not even after kill -9: on Linux the kernel
// tells the child, and wherever that isn't possible the next start clears away what it finds.
//
// They are meant for the demo, for tests and for a single small machine; they never listen on anything but the loopback
// interface unless a listen address is asked for.
package embedded
