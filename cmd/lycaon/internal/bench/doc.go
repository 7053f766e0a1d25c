// Package bench puts a known load on a running cluster and judges what came of
// it: requests at a fixed rate, whatever the answers take, so that a server that
// stalls is charged for every request that came due meanwhile. It works below
// one node that it creates and removes, and touches nothing else. Run is called
// by one goroutine; the sessions that carry the load are its own.
package bench
