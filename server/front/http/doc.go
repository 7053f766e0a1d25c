// Package http tells operators how a server is: metrics for Prometheus,
// liveness, readiness and, on loopback, profiles. Nothing that it serves
// changes anything, and it knows no other part of the server. A Front may be
// used from any goroutine; Close waits for what Serve started.
package http
