// Package raftlog is everything of raft that lives on disk: the log and stable store on one Badger directory with
// its tail guard, the snapshot directory, the free-space guard and the offline inspection of all of them.
// It knows raft and Badger and nothing of what the log entries mean; it takes no part in consensus and repairs nothing
// by itself: damage to acknowledged data is refused at open or stops the store, with the file and the repair in the text.
// Store is safe for use from any goroutine, with writes one at a time; Snapshots and DiskGuard likewise; Verify and
// Dump want the store closed.
package raftlog
