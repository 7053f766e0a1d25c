//go:build !linux

package raftlog

import (
	"math"
	"os"
)

// Development targets have no free-space guard.
func freeBytes(string) (uint64, error) { return math.MaxUint64 >> 1, nil }

func reserve(file *os.File, size int64) error { return file.Truncate(size) }

func dropCache(*os.File) {}

func readNoAhead(*os.File) {}

func writeRange(*os.File, int64, int64) error { return nil }

func syncData(file *os.File) error { return file.Sync() }

// setDirect has all writes go through the page cache.
func setDirect(*os.File, bool) bool { return false }
