// Package client talks to Lycaon servers over the native protocol: one Client
// is one session on one connection at a time, re-attached by itself to any
// server of the cluster when the connection breaks or falls silent, with every
// open request sent again and answered exactly once. It keeps no state beyond the session and its watches and starts no
// goroutine that Close does not end. Every method may be called from any
// goroutine; calls of many goroutines share the connection and its system
// calls.
//
// A server is left that is silent, out of contact with the leader, or says that
// others should be asked, as one does whose disk hangs. One that answers pings is not
// left however long a request takes: where no server can answer, as without a majority,
// a client that went round them all would find none. So a call ends with its context, or
// with the request timeout, while the session stays Connected: that the error is not
// ErrDisconnected tells that the server is there. Its Maybe is set for a write that was
// sent. Where one server alone answers nothing, by a fault of its own, Session.Token,
// Abandon and an Open of the others WithResume take the session there.
package client
