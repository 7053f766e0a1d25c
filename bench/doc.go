// Command bench measures Lycaon from outside, over TCP, every server a process
// of its own. One and three servers are put under load, and struck by faults,
// beside those of ZooKeeper and etcd, and one beside a floor: a bare loop that
// speaks the same frames from a map and syncs a file once a group, with no
// tree, no session and no consensus. All of it is compared by peers, cell by
// cell into a file, and told by report. What is compared runs in turn, and the
// figure to read is the ratio, since the machine's speed drifts.
package main
