// Package migrate copies a tree of nodes from one service to another while the
// source is being written: pass after pass, each fetching only what has changed
// since the one before, until the writers have stopped; then it compares every
// node on both sides. It sees the two services through Source and Target and
// speaks no protocol itself. A Copier is used by one goroutine; the requests in
// flight are its own.
package migrate
