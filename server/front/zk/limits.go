package zk

import "time"

const (
	passwordSize = 16

	// reconfigTimeout is how long a reconfig may take, which waits for a new
	// member to catch up.
	reconfigTimeout = 30 * time.Second
	retryAfter      = 100 * time.Millisecond // of a promotion whose member is behind
	publishWait     = 5 * time.Second        // for the changed membership to show in the tree

	// onlookerCheck is how often it is looked whether onlookers can have a
	// session again.
	onlookerCheck = 250 * time.Millisecond

	maxWordPaths    = 100_000 // that one word lists
	maxWordSessions = 10_000
)
