// Package rig starts real servers for tests of the ZooKeeper protocol: those of
// this repository, and Debian's ZooKeeper to compare them with. Both come as an
// Ensemble on loopback whose servers can be killed, paused and started again. It
// also compiles and runs the programs of real clients. It checks nothing itself:
// what clients see is judged by the tests, which call it from their own goroutine.
package rig
