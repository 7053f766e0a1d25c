package native

import "time"

const (
	handshakeTimeout = 10 * time.Second // from accept to the session's lane
	writeTimeout     = 30 * time.Second // of one write call of at most writeBufferSize or one frame
	farewellTimeout  = 250 * time.Millisecond
	adminTimeout     = 10 * time.Second      // of one administrative request
	memberTimeout    = 30 * time.Second      // of one that changes the members or the leader
	surveyTimeout    = 3 * time.Second       // of asking every server how it is
	patienceCheck    = 50 * time.Millisecond // how often who waits for a session looks whether there is still hope

	readBufferSize  = 16 << 10
	writeBufferSize = 64 << 10

	defaultMaxOutboxBytes = 16 << 20
	keptMessages          = 256       // room that an empty outbox keeps
	keptFrame             = 64 << 10  // room that a reader keeps for the next frame
	snapshotPiece         = 256 << 10 // bytes of an image in one frame
	maxSnapshots          = 2         // being sent at one time: each keeps old pages alive
	maxSkippedFrame       = 64 << 20  // an announced length beyond this ends the connection
	maxSurveys            = 4         // of the whole cluster at one time
	maxRefusals           = 64        // connections being told at one time that there are too many
)
