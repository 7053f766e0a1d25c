//go:build !linux || !(amd64 || arm64)

package raftlog

// mapMemory leaves Badger its mappings of files.
func mapMemory([]byte) bool { return false }
