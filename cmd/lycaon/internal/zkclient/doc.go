// Package zkclient asks a ZooKeeper. It keeps several connections to the servers it
// is given, has any number of requests in flight on each, and asks again on another
// connection when one is lost. So it is for requests that may be asked twice: reads,
// and sync. It holds no watch and no ephemeral node, and thus a session that ends is
// no loss; a new connection has a new one. All methods may be called from any
// goroutine; Close ends the goroutines.
package zkclient
