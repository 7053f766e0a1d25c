// Package client talks to Lycaon servers over the native protocol: one Client
// is one session on one connection at a time, re-attached by itself to any
// server of the cluster when the connection breaks or falls silent, with every
// open request sent again and answered exactly once. It keeps no state beyond the session and its watches and starts no
// goroutine that Close does not end. Every method may be called from any
// goroutine; calls of many goroutines share the connection and its system
// calls.
package client
