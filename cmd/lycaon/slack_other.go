//go:build !linux

package main

// beginWithSlack does nothing here: only Linux has a slack that is inherited.
func beginWithSlack(string) error { return nil }

// lessSlack has nothing to take back.
func lessSlack() {}
