//go:build !linux || !(amd64 || arm64)

package raftlog

func detachValueLog(string) int { return 0 }

func mapMemory(start, end uintptr) bool { return false }
