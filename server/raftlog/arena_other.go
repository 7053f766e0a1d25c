//go:build !linux

package raftlog

import "github.com/dgraph-io/badger/v4"

func openEmpty(o badger.Options) (*badger.DB, arena, error) { return openBegun(o) }

// arena is nothing: the memtable is of the heap.
type arena []byte

func (arena) free() error { return nil }
