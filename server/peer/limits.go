package peer

import "time"

const (
	// handshakeTime is for all of it: connection, TLS, hello and answer.
	handshakeTime = 5 * time.Second
	// maxHandshakes of accepted connections may be open. One more ends the
	// oldest, since honest ones take milliseconds.
	maxHandshakes = 64
	// maxStreams are accepted at once; of them maxCalls are of kind Admin, so
	// that a storm of calls leaves room for raft.
	maxStreams = 1024
	maxCalls   = 256
	// maxWaiting streams may be accepted by us and not yet by their listener.
	maxWaiting = 64

	maxHelloBytes  = 1 << 10
	maxAnswerBytes = 4 << 10
	maxDetailBytes = 512

	// maxCallBytes bounds the body of a request and of a response.
	maxCallBytes = 1 << 20
	// callFrameBytes is what a frame has around its body.
	callFrameBytes = 8 << 10
	// maxCallTime is for a call whose context has no deadline, and the longest
	// that a handler is given.
	maxCallTime = time.Minute
	// callTransfer is for one request to come in, or one response to go out.
	callTransfer = 10 * time.Second

	// lingerTime is how long a refused dialer may take to read the reason.
	lingerTime  = time.Second
	lingerBytes = 64 << 10

	maxAcceptPause = time.Second
	// logPause is between two log lines of one reason of refusal.
	logPause = 10 * time.Second
	// expiryWarning is how long before its end a certificate is warned of.
	expiryWarning = 14 * 24 * time.Hour
)
