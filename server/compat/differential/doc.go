// Package differential has tests alone: they ask a real ZooKeeper and a real
// Lycaon the same, over the same protocol, and demand the same answers: codes,
// names, data, stats, ACLs, watch events and their places between the replies.
// What may differ stands in deviations_test.go, with the reason. The requests
// come from a seed, which a failure prints beside the smallest script that it
// found; LYCAON_SEED repeats a run and LYCAON_DIFFERENTIAL_OPS lengthens it.
package differential
