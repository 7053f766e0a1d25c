// Package state is the replicated machine: the tree, the sessions, the zxid
// and the clock, changed by nothing but transactions in log order. It reads
// no clock, no configuration and no random source, so that every replica that
// applies the same entries is equal. One goroutine applies under the caller's
// write lock; reads run under its read lock.
package state
