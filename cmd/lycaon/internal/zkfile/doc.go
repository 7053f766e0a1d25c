// Package zkfile reads what a ZooKeeper of 3.4 to 3.9 keeps on disk: a snapshot
// and the transaction logs behind it, from which a Tree is made as ZooKeeper
// itself makes it when it starts. It reads readers, not files, takes any bytes
// without a panic, and allocates no more than a small multiple of what it was
// given. A Tree is used by one goroutine.
package zkfile
