// Package config reads the environment once, at start, and hands out values that are known to be good.
//
// Every variable carries the prefix PAIRSYNC_ but the two that other software defines (OTEL_EXPORTER_OTLP_ENDPOINT and
// AZURE_FEDERATED_TOKEN_FILE). An empty variable counts as one that is not set. Every secret X can be given as X_FILE, the
// path of a file that holds it. A variable with the prefix that nobody knows is refused, because it is usually a misspelt
// one whose default would be used in silence.
//
// Load reports every problem that it finds, one line each, naming the variable and what it takes. No error, and no way of
// printing a Config, ever shows the value of a secret. It is the only package that reads the environment.
package config
