// Package clienttest runs a real server inside a unit test, on loopback with
// its data in a temporary directory, and lets the test do to it what happens
// to servers: expire a session, cut every connection, restart. It is for the
// tests of this package's users; a Cluster may be used from any goroutine of
// its test.
package clienttest
