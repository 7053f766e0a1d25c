package client

import (
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// What a server answers. Test with errors.Is.
var (
	ErrNoNode                  = znode.ErrNoNode
	ErrNodeExists              = znode.ErrNodeExists
	ErrBadVersion              = znode.ErrBadVersion
	ErrNotEmpty                = znode.ErrNotEmpty
	ErrNoAuth                  = znode.ErrNoAuth
	ErrInvalidACL              = znode.ErrInvalidACL
	ErrBadArguments            = znode.ErrBadArguments
	ErrNoChildrenForEphemerals = znode.ErrNoChildrenForEphemerals
	ErrTooManyEphemerals       = znode.ErrTooManyEphemerals
	ErrTooLarge                = znode.ErrTooLarge
	ErrFenced                  = znode.ErrFenced
	ErrQuota                   = znode.ErrQuotaExceeded
	ErrTooManyQuotas           = znode.ErrTooManyQuotas
	ErrAuthFailed              = protocol.AuthFailed.Err()
	ErrSessionExpired          = protocol.SessionExpired.Err()
	ErrSessionMoved            = protocol.SessionMoved.Err()
	ErrReadOnly                = protocol.NotReadOnly.Err()
	ErrThrottled               = protocol.Throttled.Err()
	ErrTooManyOutcomes         = protocol.TooManyOutcomes.Err()
	ErrTooManyWatches          = protocol.TooManyWatches.Err()
	ErrTooManySessions         = protocol.TooManySessions.Err()
	ErrTooManyConnections      = protocol.TooManyConnections.Err()
	ErrAborted                 = protocol.Aborted.Err()
	ErrDiskFull                = protocol.DiskFull.Err()
	ErrNotReady                = protocol.NotReady.Err()
	ErrUnsupportedVersion      = protocol.UnsupportedVersion.Err()
	ErrUnimplemented           = protocol.Unimplemented.Err()
)

// What the client finds by itself.
var (
	// ErrDisconnected goes with an error of the context: no server could be
	// reached in the time given.
	ErrDisconnected = errors.New("no connection to a server")
	// ErrClosed is the cause after Close.
	ErrClosed = errors.New("closed")
	// ErrGap: events are missing between those told before and those that
	// follow. Only a watch opened WithoutResync reports it.
	ErrGap = errors.New("watch events are missing")
	// ErrProtocol: the server said what no server says.
	ErrProtocol = errors.New("protocol violation")
)

// Error is what every call returns when it fails.
type Error struct {
	Op     string
	Path   string
	Err    error
	Detail string // what the server adds for a person, else empty
	Zxid   uint64 // of the state the server judged by, else 0
	// Maybe: a write was sent, and whether it ran is not known, because the
	// session is lost, the caller's context ended first, or its answer is no
	// longer kept (ErrAborted). A lost connection alone never sets it.
	Maybe bool
}

func (e *Error) Error() string {
	text := e.Op
	if e.Path != "" {
		text += " " + e.Path
	}
	text += ": " + e.Err.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Maybe {
		text += " (it may have been done)"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// MultiError is inside the Error of a failed Multi: the operation that failed
// and why. None of the operations was done.
type MultiError struct {
	Index int
	Err   error
}

func (e *MultiError) Error() string { return fmt.Sprintf("operation %d: %v", e.Index, e.Err) }

func (e *MultiError) Unwrap() error { return e.Err }

func opError(op, path string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Op, e.Path = op, path
		return e
	}
	return &Error{Op: op, Path: path, Err: err}
}
