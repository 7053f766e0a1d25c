// Package znode holds the replicated tree: nodes with data, stat and ACL, the
// rules for paths, permissions and sequence names, transactions with exact
// rollback and their effects, a digest, and O(1) frozen handles.
// It is deterministic and pure: time and zxid are arguments, and it knows no
// wire format, session table, watch or lock.
// One goroutine at a time may write a Tree, readers may run beside each other
// but not beside a writer (the owner's RWMutex sees to both), and a Frozen may
// be read from any goroutine without a lock.
package znode
