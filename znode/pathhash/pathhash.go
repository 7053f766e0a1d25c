// Package pathhash hashes paths for tables that are in memory alone.
//
// The hash differs from process to process, so that no client can think of paths
// that all fall into one place. So it may decide where something is kept, and never
// what anybody is told or what is written down.
package pathhash

import "hash/maphash"

var seed = maphash.MakeSeed()

// Of returns the hash of a path, the same until the process ends.
func Of(path string) uint64 { return maphash.String(seed, path) }
