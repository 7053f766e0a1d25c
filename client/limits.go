package client

import "time"

const (
	clientName = "lycaon-go" // of a hello

	defaultSessionTimeout = 10 * time.Second
	defaultRequestTimeout = 10 * time.Second
	lateSteps             = 100                   // of a request timeout: as much later a call that waits may end, so that many are given up together
	maxLateStep           = 20 * time.Millisecond // of them

	backoffMin = 10 * time.Millisecond // before the first try to reconnect, with jitter
	backoffMax = time.Second
	hedgeDelay = 150 * time.Millisecond // until the next server is dialled beside the one that has not answered

	shunned = 5 * time.Second  // one that fell silent comes behind those that fail within so long
	grudge  = 30 * time.Second // a server that failed is not the first choice for so long

	welcomePatienceMin = 400 * time.Millisecond
	helloTimeoutMin    = 500 * time.Millisecond
	helloTimeoutMax    = 3 * time.Second

	// A server that lives answers a ping whatever its requests wait for, as long as
	// they leave room for more: at once, or within a quarter of a second when nothing
	// but pings has come.
	// silenceMin is about what a cluster needs for a new leader: to leave sooner
	// gains nothing, and a loaded server may well take a part of it.
	pingAfter    = 250 * time.Millisecond // of silence while something is unanswered
	silenceMin   = 700 * time.Millisecond // or a quarter of the session's timeout: then the server is left, if there is another
	muchOwed     = 256 << 10              // bytes of requests unanswered: then the timeout does not shorten that
	shortLife    = 3 * time.Second        // of a connection: left for silence so early, the next one gets twice as long
	usefulLife   = time.Second            // of a connection, at least: then whom to turn to is asked anew without a pause
	lateness     = 50 * time.Millisecond  // of our own clock: then it is we who did not run
	leastTimeout = 10 * time.Millisecond  // of a session whose client asked for no less: pings come six times in it

	// A server that has not reached the leader for contactLimit begins no session:
	// by then a healthy cluster has a new leader, so it is this server that is cut
	// off, or all are.
	contactLimit = time.Second
	maxContactMs = 24 * 60 * 60 * 1000 // a day, beyond which older says no more
	scoutEvery   = 2 * time.Second     // while that lasts

	maxGarbled   = 2           // answers to one call that make no sense, until it fails
	maxSigns     = 16          // pings kept until the leader is known to have heard of them
	membersEvery = time.Minute // how often the servers are asked for

	// closeGrace is how long Close waits for a connection that is down.
	closeGrace = time.Second

	maxHost   = 255 // bytes of a name, of a server that is learned of
	maxPort   = 5
	maxDetail = 1 << 10 // bytes of a server's text in an error, as servers cut it
	maxZxid   = 1 << 62 // a century of a billion transactions a second; below it a liar may still name one to which the others come in years

	bufferSize       = 64 << 10 // of the sender: what one write call takes
	readBufferSize   = 64 << 10
	smallReadBuffer  = 4 << 10          // until a connection brings more at once: most never do
	keptBody         = 16 << 10         // a recycled call keeps no larger body
	keptCalls        = 1024             // recycled calls
	maxWatchQueue    = 4096             // events one watch holds before it coalesces, then resyncs
	maxSeen          = 1 << 18          // events one watch remembers: more than one transaction makes, or one replay tells
	maxFrame         = 64 << 20         // no server may announce more
	defaultMaxFrame  = 1 << 20          // until a Welcome says so
	maxResumeWatches = 10_000           // in one request
	snapshotPatience = 30 * time.Second // between two pieces of a snapshot

	walkAhead = 32 // reads a Walk keeps in flight
)
