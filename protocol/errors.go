package protocol

import (
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// What can be wrong beyond the tree itself, whose errors are znode's.
var (
	ErrSystem             = errors.New("the server failed inside")
	ErrNotRun             = errors.New("not run, since an earlier operation of the multi failed")
	ErrMarshalling        = errors.New("malformed message")
	ErrUnimplemented      = errors.New("not known to this server")
	ErrSessionExpired     = errors.New("session expired")
	ErrAuthFailed         = errors.New("authentication failed")
	ErrSessionMoved       = errors.New("session moved to another connection")
	ErrNotReadOnly        = errors.New("a write needs a session, and this connection has none")
	ErrNoWatcher          = errors.New("no such watch")
	ErrThrottled          = errors.New("the server is at a limit, try again later")
	ErrTooManyWatches     = errors.New("too many watches")
	ErrTooManySessions    = errors.New("too many sessions")
	ErrTooManyConnections = errors.New("too many connections")
	ErrTooManyOutcomes    = errors.New("too many unacknowledged answers of writes")
	ErrAborted            = errors.New("the answer of this write is no longer kept; it did not run again")
	ErrDiskFull           = errors.New("the server is short of disk space and refuses writes")
	ErrNotReady           = errors.New("the server does not serve now")
	ErrUnsupportedVersion = errors.New("no protocol version in common")
	ErrClosing            = errors.New("the server is closing")
)

// errorTable is the one place that knows which error is which code.
var errorTable = []struct {
	code Code
	name string
	err  error
}{
	{NoNode, "NoNode", znode.ErrNoNode},
	{NodeExists, "NodeExists", znode.ErrNodeExists},
	{BadVersion, "BadVersion", znode.ErrBadVersion},
	{NotEmpty, "NotEmpty", znode.ErrNotEmpty},
	{NoAuth, "NoAuth", znode.ErrNoAuth},
	{BadArguments, "BadArguments", znode.ErrBadArguments},
	{InvalidACL, "InvalidACL", znode.ErrInvalidACL},
	{NoChildrenForEphemerals, "NoChildrenForEphemerals", znode.ErrNoChildrenForEphemerals},
	{TooManyEphemerals, "TooManyEphemerals", znode.ErrTooManyEphemerals},
	{TooLarge, "TooLarge", znode.ErrTooLarge},
	{Fenced, "Fenced", znode.ErrFenced},
	{QuotaExceeded, "QuotaExceeded", znode.ErrQuotaExceeded},
	{TooManyQuotas, "TooManyQuotas", znode.ErrTooManyQuotas},
	{SystemError, "SystemError", ErrSystem},
	{RuntimeInconsistency, "RuntimeInconsistency", ErrNotRun},
	{Marshalling, "Marshalling", ErrMarshalling},
	{Unimplemented, "Unimplemented", ErrUnimplemented},
	{SessionExpired, "SessionExpired", ErrSessionExpired},
	{AuthFailed, "AuthFailed", ErrAuthFailed},
	{SessionMoved, "SessionMoved", ErrSessionMoved},
	{NotReadOnly, "NotReadOnly", ErrNotReadOnly},
	{NoWatcher, "NoWatcher", ErrNoWatcher},
	{Throttled, "Throttled", ErrThrottled},
	{TooManyWatches, "TooManyWatches", ErrTooManyWatches},
	{TooManySessions, "TooManySessions", ErrTooManySessions},
	{TooManyConnections, "TooManyConnections", ErrTooManyConnections},
	{TooManyOutcomes, "TooManyOutcomes", ErrTooManyOutcomes},
	{Aborted, "Aborted", ErrAborted},
	{DiskFull, "DiskFull", ErrDiskFull},
	{NotReady, "NotReady", ErrNotReady},
	{UnsupportedVersion, "UnsupportedVersion", ErrUnsupportedVersion},
	{Closing, "Closing", ErrClosing},
}

// Err returns the sentinel of c, nil for OK. Of a code that this version does
// not know it returns an error that wraps ErrSystem and that CodeOf turns back
// into c.
func (c Code) Err() error {
	if c == OK {
		return nil
	}
	for i := range errorTable {
		if errorTable[i].code == c {
			return errorTable[i].err
		}
	}
	return unknownCode(c)
}

// CodeOf returns the code of the first sentinel that err wraps, SystemError
// for an error that is none of the protocol's.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if c, ok := codeOfSentinel(e); ok {
			return c
		}
	}
	for i := range errorTable { // errors that wrap several
		if errors.Is(err, errorTable[i].err) {
			return errorTable[i].code
		}
	}
	return SystemError
}

// codeOfSentinel compares identities; a sentinel is a pointer, so a foreign
// error of an uncomparable type is never compared with itself.
func codeOfSentinel(err error) (Code, bool) {
	if c, ok := err.(unknownCode); ok {
		return Code(c), true
	}
	for i := range errorTable {
		if err == errorTable[i].err {
			return errorTable[i].code, true
		}
	}
	return 0, false
}

// String returns the name of c as docs/PROTOCOL.md has it.
func (c Code) String() string {
	if c == OK {
		return "OK"
	}
	for i := range errorTable {
		if errorTable[i].code == c {
			return errorTable[i].name
		}
	}
	return fmt.Sprintf("code %d", int32(c))
}

// unknownCode is an error that a newer server may send.
type unknownCode Code

func (u unknownCode) Error() string { return fmt.Sprintf("the server answered with %v", Code(u)) }
func (u unknownCode) Unwrap() error { return ErrSystem }
