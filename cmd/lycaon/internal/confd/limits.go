package confd

import "time"

const (
	maxOutput = 16 << 20  // bytes of one rendered file
	maxSeq    = 1_000_000 // numbers that seq counts to

	// What failed is tried again, for a command may succeed that depends on
	// something else, and a server come back.
	retryMin = time.Second
	retryMax = 30 * time.Second
)
