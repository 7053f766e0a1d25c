package raftlog

import "time"

const (
	// MaxRecordBytes bounds one entry with its extensions. The frame limit of the protocols is far below.
	MaxRecordBytes = 64 << 20

	maxStableKeyBytes   = 1 << 10
	maxStableValueBytes = 64 << 10
	maxStableKeys       = 64

	// defaultMemTableBytes is what Badger gathers in memory before it writes a table. Up to three memtables and some ten
	// builders of tables live at a time, all of them of about this size, so it rules the memory of a server under writes.
	defaultMemTableBytes = 16 << 20
	// largestMemTableBytes is what earlier versions wrote with: their write-ahead files want as much to be replayed.
	largestMemTableBytes = 64 << 20
	// tablesBeforeCompaction is 320 MiB of log. Most of it is behind a snapshot and deleted by then, so it need never be
	// copied; with half as many, a compaction copies half of what it reads.
	tablesBeforeCompaction = 20
	// tablesBeforeStall leaves the compaction as much time again before writes wait for it.
	tablesBeforeStall = 2 * tablesBeforeCompaction
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

	// purgeKeysPerTxn keeps one background transaction short, since appends wait for it.
	purgeKeysPerTxn = 256

	// housekeepBytes of log between two looks at the mappings, file modes and free space. New files appear at rotation.
	housekeepBytes = 4 << 20
	// guardSyncInterval bounds how far a power cut can throw the guard back.
	guardSyncInterval = time.Second

	// poisonedCloseWait bounds Close of a failed store: Badger retries a failed flush for ever.
	poisonedCloseWait = 3 * time.Second

	snapshotsKept      = 2
	snapshotBufBytes   = 256 << 10
	snapshotPieceBytes = 1 << 20 // that wait for the disk at most while a snapshot is written
	maxSnapshotMetaLen = 1 << 20
)
