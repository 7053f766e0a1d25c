// Package downstream runs real systems that keep their state in ZooKeeper over
// three servers of this repository, one of which is killed meanwhile: ClickHouse's
// replicated tables, PostgreSQL under Patroni, what Prometheus discovers, and workers
// of OpenStack's tooz. It has no code but its tests, which want root, Debian's packages
// and LYCAON_DOWNSTREAM=1, as `make downstream` gives them; LYCAON_COMPAT_PEER=zookeeper
// runs the same over ZooKeeper itself.
package downstream
