package migrate

const (
	leastChunk  = 16        // nodes that are held in memory at once: fewer the larger they are
	mostChunk   = 4096      //
	firstChunk  = 256       //
	chunkBytes  = 32 << 20  // of data that a chunk should not exceed
	lookers     = 64        // requests in flight to the source, and to the target in a comparison
	appliers    = 8         // transactions in flight to the target
	batchOps    = 500       // of one transaction
	batchBytes  = 512 << 10 // of one transaction, unless a single node is larger
	maxTries    = 3         // of one node whose target changes under us
	finalPasses = 10        // at most, after the writers are said to have stopped
	maxListed   = 1000      // differences that are kept; all are counted
)
