//go:build !linux

package raftlog

func adviseRandom(string) int { return 0 }

func dropPages([]byte) {}
