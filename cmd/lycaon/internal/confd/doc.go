// Package confd keeps files equal to what templates make of the tree: it
// watches what they read, renders them again when that changes, and runs
// commands that check and reload. It opens no connection and starts no process
// itself: its caller hands in how. A Runner belongs to one goroutine.
package confd
