package native

import "time"

const (
	adminTimeout  = 10 * time.Second // of one administrative request
	memberTimeout = 30 * time.Second // of one that changes the members or the leader
	surveyTimeout = 3 * time.Second  // of asking every server how it is

	snapshotPiece   = 256 << 10 // bytes of an image in one frame
	maxSnapshots    = 2         // being sent at one time: each keeps old pages alive
	maxSkippedFrame = 64 << 20  // an announced length beyond this ends the connection
	maxOwnedBytes   = 64        // of a read's frame beside its path, to be kept with it: a pipeline counts more for each request
	maxSurveys      = 4         // of the whole cluster at one time by the superuser, and as many of his own session by anybody

	// censusPause is between surveys that anybody may ask for: each is a handshake
	// of TLS with every other server.
	censusPause = 100 * time.Millisecond
)
