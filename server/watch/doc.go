// Package watch keeps the watches of one server's connections and a ring of
// the newest effects, fires the ones on the others, and brings a connection
// that comes back up to date (Resume; by ZooKeeper's rules Renew). It is not
// replicated, knows no sockets and no clock, and tells nothing to a watcher who
// may not read the node by the ACL in force at the effect's own zxid.
// Effects are appended to the Ring and fired under the pipeline's write lock,
// in log order; watches may be added and removed by many goroutines under its
// read lock, since the Table has a mutex of its own. The order of locks is the
// pipeline's, the Table's, then whatever a Watcher takes.
package watch
