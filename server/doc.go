// Package server puts one Lycaon server together: data directory, log store,
// raft, the machine with its lanes, and the fronts that clients reach it by.
// It holds wiring and nothing else. Open and Close may be called from any
// goroutine; Close waits for everything that Open started.
package server
