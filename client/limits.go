package client

import "time"

const (
	defaultSessionTimeout = 10 * time.Second
	defaultRequestTimeout = 10 * time.Second

	backoffMin = 10 * time.Millisecond // before the first try to reconnect, with jitter
	backoffMax = time.Second
	hedgeDelay = 150 * time.Millisecond // until the next server is dialled beside the one that has not answered

	helloTimeoutMin = 500 * time.Millisecond
	helloTimeoutMax = 3 * time.Second

	// closeGrace is how long Close waits for a connection that is down.
	closeGrace = time.Second

	bufferSize       = 64 << 10 // of the sender: what one write call takes
	readBufferSize   = 64 << 10
	keptBody         = 16 << 10         // a recycled call keeps no larger body
	keptCalls        = 1024             // recycled calls
	maxWatchQueue    = 4096             // events one watch holds before it coalesces, then resyncs
	maxFrame         = 64 << 20         // no server may announce more
	defaultMaxFrame  = 1 << 20          // until a Welcome says so
	maxResumeWatches = 10_000           // in one request
	snapshotPatience = 30 * time.Second // between two pieces of a snapshot

	walkAhead = 32 // reads a Walk keeps in flight
)

// What a server counts for the answer of a write that it keeps. It counts so
// before the write runs; who counts less is told TooManyOutcomes.
const (
	answerCost   = 64
	stepCost     = 192 // of each operation
	sequenceCost = 20  // of a create, beside its path
)
