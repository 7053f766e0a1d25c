package replicate

import "time"

const (
	// maxBatchBytes cuts the queue into raft entries. Larger entries are some
	// 30 % faster at 1,000 clients and cost latency and memory everywhere else.
	maxBatchBytes = 256 << 10
	// maxBatchesInFlight: measured best; more of them make middling load
	// slower, since each batch is then smaller.
	maxBatchesInFlight = 2
	// maxQueueBytes bounds what waits for a place in flight.
	maxQueueBytes = 64 << 20
	// maxAbandoned bounds how often batches that never end are given up before
	// the proposer waits for one of them. raft's channel holds 64.
	maxAbandoned = 8
	// batchDeadline is how long a batch may be under way before its outcome is
	// taken for unknown.
	batchDeadline = 10 * time.Second

	minResendPause = 10 * time.Millisecond
	maxResendPause = time.Second

	// slowFlight is when a batch under way makes this server not ready.
	slowFlight = 2 * time.Second

	// maxExpiriesPerTick and the tick bound how fast a mass expiry goes, and
	// how many of them stand before the next client's write.
	maxExpiriesPerTick = 128
	// maxReapsPerLook bounds the deletes of one look, maxMortalsPerLook the
	// nodes looked at, mortalsPerView those under one hold of the lock.
	maxReapsPerLook   = 256
	maxMortalsPerLook = 32 << 10
	mortalsPerView    = 1024
	// reapRetry is when a reap that had no effect is tried again.
	reapRetry = 5 * time.Second

	imageBufferBytes = 256 << 10
	minSnapshotRetry = time.Second
	maxSnapshotRetry = time.Minute

	// minTrailingLogs stays far above what can be uncommitted (4 times the
	// batches in flight): a rejoining leader with a longer tail than the log
	// that is kept would be sent snapshots for ever.
	minTrailingLogs = 64
	maxTrailingLogs = 10240
	// entryOverheadBytes is what an entry costs beside its data when it is
	// read back and applied, so that many small ones are snapshotted in time.
	entryOverheadBytes = 512

	closeWait = 3 * time.Second
)
