// Package clients runs programs of unmodified ZooKeeper clients against servers of
// this repository: kazoo, the Java client and its command line, Curator, the C
// client and the one for Go. Each program, under testdata, takes a connect string
// and a mode and prints a line for each check. They are held to the original as
// well: with LYCAON_COMPAT_PEER=zookeeper the same programs run against ZooKeeper.
package clients
