// Package target writes nodes that come from elsewhere into a running Lycaon:
// many at a time, parents before children, with their ACLs and kinds. Where the
// nodes come from, and what to tell the person who waits, is the caller's. A
// Writer is used by one goroutine; the requests in flight are its own.
package target
