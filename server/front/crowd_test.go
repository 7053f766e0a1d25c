package front

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// Each keeps within what one connection may be behind.
func TestConnectionsThatDoNotReadAreBoundedTogether(t *testing.T) {
	t.Parallel()
	const all = 1 << 20
	f := New(Config{MaxAllOutboxBytes: all}, nil)
	conns := make([]*Conn, 100)
	for i := range conns {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		conns[i] = newConn(f, ours)
		t.Cleanup(conns[i].kill)
	}
	m := &protocol.Message{Data: make([]byte, 32<<10)}
	held := func() (bytes int) {
		for _, c := range conns {
			bytes += c.out.depth()
		}
		return bytes
	}
	for range 20 {
		for _, c := range conns {
			c.Push(m)
		}
	}
	require.LessOrEqual(t, held(), all+len(conns)*(ownOutboxBytes+m.Size()))
	require.Positive(t, f.Stats().SlowConsumers)
	require.Less(t, f.Stats().SlowConsumers, uint64(len(conns)), "there is room for some")
	require.LessOrEqual(t, f.crowd.bytes.Load(), int64(all+len(conns)*m.Size()))

	var last *Conn
	for _, c := range conns {
		if last == nil && !c.out.bidden() {
			last = c
			continue
		}
		c.out.leave()
	}
	for last.out.depth() < all && !last.out.bidden() {
		last.Push(m)
	}
	require.False(t, last.out.bidden(), "who has gone holds nothing")
	batch, _ := last.out.takePen()
	last.out.next(batch, false)
	require.Zero(t, f.crowd.bytes.Load())
	last.Push(m)
	last.out.leave()
	require.Zero(t, f.crowd.bytes.Load())
}

func TestInACrowdWhoIsBeyondHisOwnIsToldNoMore(t *testing.T) {
	t.Parallel()
	f := New(Config{MaxAllOutboxBytes: 1}, nil)
	f.crowd.bytes.Add(1)
	connect := func() *Conn {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		c := newConn(f, ours)
		t.Cleanup(c.kill)
		return c
	}
	large, small := &protocol.Message{Data: make([]byte, 1<<20)}, &protocol.Message{Path: "/a"}

	stuck := connect()
	stuck.Push(large)
	stuck.out.takePen()
	require.False(t, stuck.out.bidden())
	stuck.Push(small)
	require.True(t, stuck.out.bidden(), "what is being written counts")

	reads := connect()
	reads.Push(small)
	reads.Push(large)
	require.False(t, reads.out.bidden(), "others are behind, this one is not")
	reads.Push(small)
	require.True(t, reads.out.bidden())
}
