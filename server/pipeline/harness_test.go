package pipeline

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

const testOrigin = 7

// heldLog keeps what it is given until a test applies or loses it.
type heldLog struct {
	mu   sync.Mutex // a reader that got credit appends beside who applies
	txns []state.Txn
}

func (l *heldLog) Append(t *state.Txn) []byte {
	kept := *t
	kept.IDs, kept.Body = bytes.Clone(t.IDs), bytes.Clone(t.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns = append(l.txns, kept)
	return kept.Body
}

func (l *heldLog) take(n int) []state.Txn {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.txns))
	taken := l.txns[:n:n]
	l.txns = l.txns[n:]
	return taken
}

// batchOf makes one entry of the log.
func batchOf(stampMs int64, txns ...state.Txn) []byte {
	b := state.AppendBatchHeader(nil, stampMs)
	for i := range txns {
		b = state.AppendTxn(b, &txns[i])
	}
	return b
}

// heldSink writes what it is told into a transcript shared with others.
type heldSink struct {
	name   string
	out    *strings.Builder
	pushed int // since the last wake
	closed bool
}

func (s *heldSink) Push(m *protocol.Message) {
	if s.closed {
		fmt.Fprintf(s.out, "%s: PUSHED AFTER CLOSE\n", s.name)
	}
	s.pushed++
	fmt.Fprintf(s.out, "%s: %s\n", s.name, describe(m))
}

func (s *heldSink) Wake() {
	fmt.Fprintf(s.out, "%s: wake after %d\n", s.name, s.pushed)
	s.pushed = 0
}

func (s *heldSink) Close(code protocol.Code, detail string) {
	s.closed = true
	fmt.Fprintf(s.out, "%s: closed %v (%s)\n", s.name, code, detail)
}

func describe(m *protocol.Message) string {
	if m.Kind == protocol.Event {
		return fmt.Sprintf("event %s %s zxid %d", eventName(m.Event), m.Path, m.Zxid)
	}
	text := fmt.Sprintf("%v xid %d zxid %d %v", m.Op, m.Xid, m.Zxid, m.Code)
	if m.Data != nil {
		text += fmt.Sprintf(" %q", m.Data)
	}
	if m.Op == protocol.OpChildren && m.More != nil {
		text += fmt.Sprint(" ", m.More.Names)
	}
	if m.More != nil && m.More.Identities != nil {
		text += fmt.Sprint(" ", m.More.Identities)
	}
	if m.More != nil && m.More.Detail != "" {
		text += " (" + m.More.Detail + ")"
	}
	return text
}

func eventName(e protocol.EventType) string {
	switch e {
	case protocol.EventCreated:
		return "created"
	case protocol.EventDeleted:
		return "deleted"
	case protocol.EventDataChanged:
		return "changed"
	case protocol.EventChildrenChanged:
		return "children"
	case protocol.EventGap:
		return "gap"
	case protocol.EventReplayDone:
		return "replay done"
	case protocol.EventProgress:
		return "progress"
	}
	return fmt.Sprint(e)
}

func passwordHash(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func createRequest(xid uint64, path string, data string) *protocol.Request {
	op := znode.CreateOp{Path: path, Data: []byte(data), ACL: znode.OpenACL}
	return &protocol.Request{Op: protocol.OpCreate, Xid: xid, Arg: xid, Body: protocol.AppendCreate(nil, &op)}
}

func setRequest(xid uint64, path string, data string) *protocol.Request {
	return &protocol.Request{Op: protocol.OpSet, Xid: xid, Arg: xid, Body: protocol.AppendSet(nil, path, []byte(data), znode.AnyVersion)}
}

func readRequest(op protocol.Op, xid uint64, path string) *protocol.Request {
	return &protocol.Request{Op: op, Xid: xid, Read: protocol.Read{Op: op, Path: path}}
}

// newTestCore returns a Core whose log is held.
func newTestCore(t testing.TB, cfg Config) (*Core, *heldLog) {
	t.Helper()
	cfg.Origin = testOrigin
	c, log := New(cfg), &heldLog{}
	c.SetLog(log)
	return c, log
}

// applyAll applies what the log holds, one entry at a time, until it holds
// nothing.
func applyAll(t testing.TB, c *Core, log *heldLog) {
	t.Helper()
	for txns := log.take(math.MaxInt); len(txns) > 0; txns = log.take(math.MaxInt) {
		require.NoError(t, c.Apply(batchOf(1000, txns...)))
	}
}

// openLane opens a session and applies it.
func openLane(t testing.TB, c *Core, log *heldLog, name string, s Sink) *Lane {
	t.Helper()
	var lane *Lane
	c.Open(OpenParams{PasswordHash: passwordHash(name), TimeoutMs: 10_000}, s, func(l *Lane, _ Opened, code protocol.Code, detail string) {
		require.Equal(t, protocol.OK, code, detail)
		lane = l
	})
	applyAll(t, c, log)
	require.NotNil(t, lane)
	return lane
}
