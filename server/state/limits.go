package state

// maxDeleted bounds the znodes that one transaction deletes recursively. Every
// replica computes with it: a change is a change of the format of the log.
const maxDeleted = 100_000

// maxKeptSteps bounds the memory for the operations of a multi that stays for
// the next one.
const maxKeptSteps = 1024

// maxPrefetched bounds the transactions of which one look ahead has the memory
// brought; with fewer than prefetchFrom nodes, 32 MB with their index, most of it
// is in the processor's caches anyway.
const (
	maxPrefetched = 64
	prefetchFrom  = 1 << 17
)

// maxActors bounds the decoded identities that are remembered between
// transactions. It is a cache: no outcome depends on it.
const maxActors = 1024

// What bounds an answer to a read; no replica's state depends on it.
const (
	// replyRoom is what a frame needs beside the names of a page: its header,
	// a stat and the marks of the encoding.
	replyRoom = 512
	// resultRoom is the same of one result of a multi-read.
	resultRoom = 160
	bareRoom   = 8 // of a result that is a code alone, which each can become
	nameRoom   = 3 // of the mark before a name
	// maxWhole bounds a listing that must not come in pages, which no frame
	// bounds: it is what a connection may be behind, and a longer answer would
	// end it. Each name counts with wholeNameRoom, as Message.Size has it.
	maxWhole      = 16 << 20
	wholeNameRoom = 5
	// maxVain bounds the bytes of names that one multi-read gathers for whole
	// listings that do not fit in the end.
	maxVain   = 1 << 20
	entryRoom = 16 // of an ACL entry beside its scheme and id
	// pageStep is how many names are taken from the tree at a time, so that a
	// directory far larger than a frame is not walked to its end.
	pageStep = 16384

	// sharedFrom is how many names a directory has whose listing is kept: fewer
	// are faster listed anew than looked for.
	sharedFrom = 256
	// maxListings bounds what the kept listings take, maxListing one of them;
	// listingRoom is what each takes, keptNameRoom each name beside the text.
	maxListings  = 32 << 20
	maxListing   = maxListings / 4
	listingRoom  = 192
	keptNameRoom = 16 + 2*wholeNameRoom + 1
)
