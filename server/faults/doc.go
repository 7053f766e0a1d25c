// Package faults has tests alone: real lycaon processes, several of them, that are killed, stopped, cut off from each other, slowed down
// and filled up while clients of the Go package write down what they asked, what they heard and when. Checkers then search what was written
// down, beside the servers' own logs, for anything that a cluster must not do; each has a test that feeds it a lie. FAULTS_SEED repeats a
// run, FAULTS_ROUNDS lengthens it, LYCAON_HISTORIES keeps the histories, and `go test ./server/faults -run Replay -history DIR` checks one again.
package faults
