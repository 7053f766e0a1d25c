package protocol

// Code is the outcome of a request on the wire. Where ZooKeeper has a code for
// it, the number is ZooKeeper's.
type Code int32

const (
	OK                      Code = 0
	SystemError             Code = -1
	RuntimeInconsistency    Code = -2 // of a multi: not run, an earlier operation failed
	Marshalling             Code = -5 // the body does not decode
	Unimplemented           Code = -6
	BadArguments            Code = -8
	NoNode                  Code = -101
	NoAuth                  Code = -102
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
	InvalidACL              Code = -114
	AuthFailed              Code = -115
	SessionMoved            Code = -118 // a newer attach owns the session
	NotReadOnly             Code = -119 // a write on a connection without a session
	NoWatcher               Code = -121
	QuotaExceeded           Code = -125
	Throttled               Code = -127 // a bound of the server is reached; try again later
	TooLarge                Code = -200 // a size limit; the detail names it
	TooManyWatches          Code = -201
	TooManyEphemerals       Code = -202
	TooManySessions         Code = -203
	TooManyConnections      Code = -204
	TooManyOutcomes         Code = -205 // more unacknowledged answers than the session may keep; or refused before, and overtaken
	Aborted                 Code = -206 // a resent write whose answer is no longer kept; it did not run again
	DiskFull                Code = -207 // writes are refused until space is back
	NotReady                Code = -208 // this server does not serve now
	UnsupportedVersion      Code = -209 // no common protocol version
	Closing                 Code = -210 // the server is going down
	Fenced                  Code = -211 // what the write was guarded by is no more
	TooManyQuotas           Code = -212
)
