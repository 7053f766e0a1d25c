// Command bench measures Lycaon from outside, over TCP, every server a process
// of its own. One server is put under load beside a floor: a bare loop that
// speaks the same frames from a map and syncs a file once a group, with no
// tree, no session and no consensus. Three servers are struck by faults, and
// restarted, beside three of ZooKeeper and three of etcd. What is compared
// runs in turn, and the figure to read is the ratio, since the machine's speed
// drifts.
package main
