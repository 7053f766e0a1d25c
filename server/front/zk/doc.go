// Package zk is ZooKeeper's client protocol on the connections of a front.Front:
// it answers the handshake, hands requests to the connection's lane as native
// ones, proves identities, maps reconfig onto the membership, and answers the
// four-letter words. What a request means, in which order it runs and who is told
// of it is the pipeline's, as for native clients. A ZooKeeper may be used from
// any goroutine.
package zk
