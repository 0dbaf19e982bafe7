// Package rig is what the benchmarks of the workers run on: a PostgreSQL with sessions in it, a JetStream, and a Graph that
// does nothing but answer, so that what is measured is pairsync's own work.
package rig
