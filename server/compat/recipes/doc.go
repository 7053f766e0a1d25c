// Package recipes lets this repository's recipes share their nodes with those of
// Curator and kazoo: each test has both sides at one lock, one group, one queue of a
// server, ours over the native protocol and theirs over ZooKeeper's. The programs of
// the others, under testdata, do what they are told line by line.
package recipes
