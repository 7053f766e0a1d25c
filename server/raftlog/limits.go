package raftlog

import "time"

const (
	// MaxRecordBytes bounds one entry with its extensions. The frame limit of the protocols is far below.
	MaxRecordBytes = 64 << 20

	maxStableKeyBytes   = 1 << 10
	maxStableValueBytes = 64 << 10
	maxStableKeys       = 64

	// defaultMemTableBytes is what a generation takes before the next is begun, which costs some 10 ms of the
	// housekeeper. The newest takes that much memory when it is full.
	defaultMemTableBytes = 16 << 20
	// seedMemTableBytes are those of a memtable that is enlarged before it is written to.
	seedMemTableBytes = 64 << 10
	// engineTxnPercent of a memtable is what Badger takes in one transaction.
	engineTxnPercent = 15
	// The next generation is made when the newest is filled by a percentage that is drawn anew each time: the servers of a
	// cluster have the same log, and would all do it at once. latestSparePercent leaves it twice the time of its syncs where
	// nothing but syncs bounds the writes.
	earliestSparePercent = 10
	latestSparePercent   = 60
	// memTableEntryOverheadBytes is at most what an entry takes beside key and value, in the write-ahead file or in memory.
	memTableEntryOverheadBytes = 192
	// keptAheadBytes of what was written to the newest generation's file stay in the memory that Badger writes it to.
	keptAheadBytes = 1 << 20
	// layAheadBytes of zeros are written behind a transaction that is smaller, enough for dozens of small ones.
	layAheadBytes = 64 << 10
	// layDirectBytes of zeros are written with one that goes past the page cache, enough for hundreds.
	layDirectBytes = 256 << 10
	pageBytes      = 4 << 10
	// settlePercent of a memtable is what Badger allocates to write a table of it.
	settlePercent = 200
	// settledMemTableBytes is for generations that are only read.
	settledMemTableBytes = 1 << 20
	// maxUnsettled sealed generations may be in memory and wait for a table: those that were written to before this start.
	maxUnsettled = 8
	// maxCrowd of them make the next wait for the disk.
	maxCrowd = maxUnsettled + maxUnsettled/2
	// settleAfter is for a log that hardly grows, and longer than what a busy one keeps lasts.
	settleAfter    = 30 * time.Second
	settleInterval = time.Second
	// slowScanBytes are marked in some 50 ms of a core: a collection of less is over before it is in anyone's way.
	slowScanBytes = 64 << 20
	// tablesBeforeRotation bounds how many starts leave a table each in the newest generation.
	tablesBeforeRotation = 8
	// In the first version: 320 MiB of log, most of which is deleted before it is copied, and as much again before writes
	// wait; and what one deletion takes, for which appends wait.
	tablesBeforeCompaction = 20
	tablesBeforeStall      = 2 * tablesBeforeCompaction
	purgeKeysPerTxn        = 256
	// largestMemTableBytes is what earlier versions wrote with: their write-ahead files want as much to be replayed.
	largestMemTableBytes = 64 << 20
	// blockSlackBytes is for the keys and headers of the records in a table's block.
	blockSlackBytes = 64 << 10
	// maxValueThreshold is Badger's own upper bound. A value that reaches it goes to the value log, whose sync error
	// is only logged, so every value of ours stays below.
	maxValueThreshold = 1 << 20
	maxChunkBytes     = 512 << 10

	// txnPercent of a memtable is what one transaction of ours may hold; Badger refuses above 15.
	txnPercent = 12
	// txnEntryOverheadBytes is at least what Badger counts for an entry beside key and value.
	txnEntryOverheadBytes = 32
	// txnBytesPerEntry turns the byte budget into a count budget; Badger divides by its skiplist node, a little less.
	txnBytesPerEntry = 128

	// housekeepBytes of log between two looks at the mappings, file modes and free space. New files appear when Badger
	// writes a table after all.
	housekeepBytes = 4 << 20
	// guardSyncInterval bounds how far a power cut can throw the guard back.
	guardSyncInterval = time.Second

	// poisonedCloseWait bounds Close of a failed store: Badger retries a failed flush for ever.
	poisonedCloseWait = 3 * time.Second

	snapshotsKept      = 2
	snapshotBufBytes   = 256 << 10
	snapshotPieceBytes = 1 << 20 // that wait for the disk at most while a snapshot is written
	removePieceBytes   = 4 << 20 // of a file that is removed: some 1.5 ms of a disk that is told of what is free
	// removeRest times its time a piece of the log is followed by a pause: a generation is gone in some 50 ms, several
	// times quicker than one is written at the highest rate.
	removeRest         = 4
	maxRemoveRest      = 100 * time.Millisecond
	maxSnapshotMetaLen = 1 << 20
)
