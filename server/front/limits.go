package front

import "time"

const (
	// HandshakeTimeout is from accept to the session's lane.
	HandshakeTimeout = 10 * time.Second
	writeTimeout     = 30 * time.Second // of one write call of at most writeBufferSize or one frame
	knowWithin       = 5 * time.Second  // beyond what a server waits for the others after its start
	farewellTimeout  = 250 * time.Millisecond
	prompt           = 50 * time.Millisecond // most opens and attaches take less
	patienceCheck    = 50 * time.Millisecond // how often who waits for a session looks whether there is still hope

	dozeAfter  = time.Second            // of silence, at least
	lookEvery  = 250 * time.Millisecond // what an answer to a ping may wait for
	lookSooner = time.Second / 12       // the same, where it may be something else
	dozeShare  = 10                     // and at most this part of a session's timeout
	lookTurn   = 256                    // connections that are looked at before others may begin or end
	dozeFrom   = 64                     // connections: fewer send pings that cost less than looking for them

	readBufferSize  = 16 << 10
	writeBufferSize = 64 << 10

	scribeTurn = 128 << 10 // bytes and fees after which a scribe turns to the next connection
	writeFee   = 4 << 10   // what a write counts beyond its bytes

	defaultMaxOutboxBytes = 16 << 20
	ownOutboxBytes        = 256 << 10 // of a connection, that do not count with those of others

	// Beyond it, and their own, connections may be one message behind each.
	defaultMaxAllOutboxBytes = 512 << 20

	politeAfter  = 16       // connections that a scribe writes to before it lets others run: a batch of short sessions
	countAfter   = 1024     // connections after which a scribe looks how many can run
	keptMessages = 256      // room that an empty outbox keeps
	keptFrame    = 64 << 10 // room that a reader keeps for the next frame
	keptReaders  = 64       // goroutines that wait for the next connection
	maxRefusals  = 64       // connections being told at one time that there are too many
	maxUnread    = 64 << 10 // bytes that a client may still send after its last words were said
)
