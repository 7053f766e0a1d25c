package replicate

import "time"

const (
	// maxBatchBytes cuts the queue into raft entries. Larger entries are some
	// 30 % faster at 1,000 clients and cost latency and memory everywhere else.
	maxBatchBytes = 256 << 10
	// A slab holds some batches. The first ones are small: a server may be one of
	// many of a test, or have nothing to do.
	minSlabBytes = 4 << 10
	maxSlabBytes = 1 << 20
	minSlabRest  = 256 // less than that is not begun in
	// maxBatchesInFlight: measured best; more of them make middling load
	// slower, since each batch is then smaller.
	maxBatchesInFlight = 2
	// minSecondBatchBytes wait before a second batch leaves beside the first.
	minSecondBatchBytes = 64 << 10
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
	// stallTold is how long this server stood still for it to be logged.
	stallTold = 50 * time.Millisecond
	// maxReapsPerLook bounds the deletes of one look, maxMortalsPerLook the
	// nodes looked at, mortalsPerView those under one hold of the lock.
	maxReapsPerLook   = 256
	maxMortalsPerLook = 32 << 10
	mortalsPerView    = 1024
	// reapRetry is when a reap that had no effect is tried again.
	reapRetry = 5 * time.Second

	// quotaInterval is how often a leader looks for quotas that are exceeded;
	// it warns of maxQuotaWarnings of them at most, and of each again after
	// quotaRest.
	quotaInterval    = 10 * time.Second
	quotaRest        = time.Minute
	maxQuotaWarnings = 20

	// introductionTime is how long a new leader, or a server that has started, waits for the members to tell of
	// themselves before it takes those that have not for dead. publishRetry is
	// when a proposal to name the members is taken for lost.
	introductionTime = 3 * time.Second
	askAgain         = 10 * time.Millisecond
	publishRetry     = 5 * time.Second

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

	closeWait  = 3 * time.Second
	closeGrace = 500 * time.Millisecond // for raft to stop, when the process stood still meanwhile
	drainWait  = time.Second
	// resignWait is longer than raft itself tries.
	resignWait = electionTimeout + 200*time.Millisecond
)

const (
	// briefTimeout is for heartbeats and votes: an answer that takes longer
	// comes too late for an election timeout of 300 ms anyway.
	briefTimeout = time.Second
	// bulkTimeout is for entries, whose receiver syncs a disk, and for each
	// snapshotTimeoutScale bytes of a snapshot.
	bulkTimeout          = 10 * time.Second
	snapshotTimeoutScale = 16 << 20
	dialTimeout          = time.Second
	// deafAfter is when calls to a server without heartbeats are given up.
	deafAfter = 2 * time.Second
	// holdInterval is how often entries that are held back are looked at.
	holdInterval = 20 * time.Millisecond

	// restFor is how long raft's word to a follower that knows it waits for news at
	// most: how long it would lack one if it had forgotten it unnoticed.
	restFor = time.Second
	// heartbeatGap is how long after a follower was heard the next heartbeat to it leaves
	// at the latest that waits for its turn: mostly after two of raft's pauses of 30 to 60 ms.
	heartbeatGap = 110 * time.Millisecond
	// heartbeatLate is when a follower's answer to a heartbeat is missed: later than
	// they are sent, and early enough for another way to it to be tried within the lease.
	heartbeatLate = 140 * time.Millisecond
	// leaseLook is how much later than its end raft notices that a lease is over.
	leaseLook = 10 * time.Millisecond
	// standInFor is how long after a follower was heard raft may be answered in its
	// place. raft lengthens its lease by that: by so little that a leader that is cut
	// off still goes before another comes.
	standInFor = heartbeatTimeout - leaderLease - leaseLook

	// hangAfter is when a write to the log is taken for a hanging disk: no
	// less than twice the heartbeat timeout, since a busy disk takes its time.
	hangAfter = max(time.Second, 2*heartbeatTimeout)

	// logCacheEntries and logCacheBytes bound what is kept in memory of the end of
	// the log: 16 full batches. Whoever is further behind is read for.
	logCacheEntries = 64
	logCacheBytes   = 4 << 20

	// maxTxnsFrame cuts what a follower sends at transactions; a larger one is
	// alone in its frame. maxStreamFrame is what any frame may claim to be:
	// above the largest transaction, and room for a touch of a million sessions.
	maxTxnsFrame   = 256 << 10
	maxStreamFrame = 16 << 20
	frameStep      = 1 << 20 // room is made for a frame as its bytes come
	txnOverhead    = 128     // of a transaction beside its bytes and strings: at most
	receiveBuffer  = 64 << 10
	cargoTxns      = 64 // proposed under one hold of the proposer's lock
	// maxEarlyBytes is what followers are sent while it is written here: what a
	// client alone writes. With more of them a batch that is answered sooner is a
	// smaller one, and three syncs at once of one disk cost more than the wait for one.
	// With 0 nothing is sent early.
	maxEarlyBytes = 2 << 10
	// maxOutboxBytes bounds what waits for the stream to the leader.
	maxOutboxBytes = 64 << 20

	maxTouchIDs       = 64 << 10 // in one frame
	maxUnackedTouches = 64       // beyond it they are merged

	// clientsStay is how long a follower counts as one with clients after it has
	// heard of one: longer than the pause between a client's heartbeats.
	clientsStay = time.Minute
	// closeBehind is how soon after a batch has landed the next one begins where a
	// client writes without a pause, and noticeLater for how long the commits of such
	// are kept from followers whose clients may watch, if nothing else brings the word:
	// long enough for the next write to bring it. Where it does not, the next write may
	// be what a watch brings about, and for promptFor none is kept waiting.
	closeBehind = 500 * time.Microsecond
	noticeLater = 2 * time.Millisecond
	promptFor   = 100 * time.Millisecond

	dialTime     = time.Second
	minRedial    = 10 * time.Millisecond
	maxRedial    = 250 * time.Millisecond
	steadyStream = time.Second // a stream that lived for so long resets the pause
	helloTime    = 5 * time.Second
	tellTime     = time.Second
	farewellTime = 100 * time.Millisecond
	// awaitReign is how long an early follower waits for its leader to know; less
	// than what it takes for silence.
	awaitReign = minTouchSilence / 2

	// pulseInterval and maxForwardSilence find a forward stream whose way is
	// lost while others live. A leader that stops reading for so long is better
	// sent everything again than waited for.
	pulseInterval     = time.Second
	maxForwardSilence = 5 * time.Second
	// minTouchSilence ends both streams to a leader that acknowledges nothing:
	// redialing finds a free way at once, and a kernel's retries much later.
	minTouchSilence = time.Second
	// maxFollowerSilence ends the stream of a follower that vanished.
	maxFollowerSilence = 10 * time.Second
)

const (
	// watchInterval goes into that of touches, as it usually is, so that one
	// wake-up does for both.
	watchInterval     = time.Second / 12
	loneWatchInterval = 500 * time.Millisecond
	// unreachableAfter is when a member that does not answer is said to be out
	// of reach.
	unreachableAfter = time.Second
	// maxServingContact is the age of the leader's last acknowledgement at
	// which no new sessions are taken.
	maxServingContact = time.Second
	// assuredFor is for how long a leader goes by one look at its majority, at most.
	assuredFor = 100 * time.Millisecond
	// maxGrace bounds what sessions get on top of their timeout after an outage.
	maxGrace = time.Minute

	// standStagger is longer than a round of votes and than a loaded machine
	// takes to run a goroutine.
	standStagger  = 20 * time.Millisecond
	standingsWait = 75 * time.Millisecond
	standFor      = 2 * time.Second

	maxIdleInstalls = 3
	starvedAfter    = 10 * time.Second
	restartPause    = time.Minute
	flushWait       = 500 * time.Millisecond
)

const (
	adminTimeout = 5 * time.Second
	// maxBook bounds what is remembered of members: ids go to 254.
	maxBook = 254
)

const (
	minFoundingPause = 100 * time.Millisecond
	maxFoundingPause = time.Second
	// foundingGrace is how long a majority of empty servers waits for the
	// others: those that come later have to be brought in by the leader.
	foundingGrace    = 2 * time.Second
	foundingReminder = 10 * time.Second
	admitTimeout     = 3 * time.Second
	// claimFor is far longer than a vote is under way.
	claimFor = time.Minute

	attendInterval = time.Second
	attendPause    = 3 * time.Second
	doubtAfter     = 3 * time.Second
	adoptRetry     = time.Second

	leaderRetry   = 50 * time.Millisecond
	changeTimeout = 10 * time.Second
	// maxPromotionLag is what a member may be behind that gets a vote: under
	// load nobody is at the very end.
	maxPromotionLag = maxAppendEntries
	maxMembers      = 31
)
