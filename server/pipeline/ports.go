package pipeline

import (
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// Log takes transactions towards the ordered log. Append never blocks, keeps
// the order of its calls and copies what it keeps; it may lose what it took,
// in which case its owner calls Core.Resend. It is called under a lane's lock
// and must not call back.
//
// The body of a write that it has copied it may return: bytes that nobody changes
// any more, whatever becomes of the transaction. The lane then needs no copy of its
// own.
type Log interface {
	Append(t *state.Txn) (kept []byte)
}

// Sink carries one connection's messages away. Push and Close are called under
// Core's lock: they queue or mark, and never block, encode or do I/O. Wake
// comes after the lock, once for everything pushed since the last one; it may
// come on the goroutine that called into the lane, so that a front which
// drains its input first can pass over it there. Close ends the connection
// after what was pushed before it; whether a farewell with code and detail is
// sent is the front's protocol. Pushes after Close do not happen.
type Sink interface {
	Push(m *protocol.Message)
	Wake()
	Close(code protocol.Code, detail string)
}

// Observer is told of every session that opens, moves or ends, under Core's
// lock and in log order: the leader's expiry lives on it.
type Observer interface {
	SessionOpened(id, generation uint64, timeoutMs int64)
	SessionEnded(id uint64)
}
