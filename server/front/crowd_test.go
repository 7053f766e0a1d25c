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

func TestWhoIsBehindIsToldNoMoreThanTheBound(t *testing.T) {
	t.Parallel()
	f := New(Config{MaxOutboxBytes: 4 << 20}, nil)
	half, whole, small := &protocol.Message{Data: make([]byte, 5<<19)}, &protocol.Message{Data: make([]byte, 5<<20)}, &protocol.Message{Path: "/a"}
	for name, test := range map[string]struct {
		behind []*protocol.Message // nil: somebody begins to write it
		more   *protocol.Message
		closed bool
	}{
		"one that is being written and the next are too much together": {[]*protocol.Message{half, nil}, half, true},
		"as are two that wait":                          {[]*protocol.Message{half}, half, true},
		"one may be too large by itself":                {nil, whole, false},
		"also behind a small one that waits":            {[]*protocol.Message{small}, whole, false},
		"and behind a small one that is being written":  {[]*protocol.Message{small, nil}, whole, false},
		"behind it comes nothing":                       {[]*protocol.Message{whole}, small, true},
		"nor while it is being written":                 {[]*protocol.Message{whole, nil}, small, true},
		"what is within the bound waits behind another": {[]*protocol.Message{half, nil}, small, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			t.Cleanup(func() { theirs.Close() })
			c := newConn(f, ours)
			t.Cleanup(c.kill)
			for _, m := range test.behind {
				if m == nil {
					c.out.takePen()
				} else {
					c.Push(m)
				}
			}
			require.False(t, c.out.bidden())
			c.Push(test.more)
			require.Equal(t, test.closed, c.out.bidden())
		})
	}
}

// hasty is told much of its watches in its handshake, and does not wait for the end.
type hasty struct{ silent }

func (hasty) Speak(c *Conn) Speaker { return hasty{silent{c: c}} }

func (h hasty) Handshake() bool {
	h.c.Push(&protocol.Message{Data: make([]byte, 2*ownOutboxBytes)})
	return false
}

func TestWhoGoesInItsHandshakeHoldsNothing(t *testing.T) {
	t.Parallel()
	f := New(Config{}, nil, hasty{})
	t.Cleanup(f.scribes.close)
	here, there := net.Pipe()
	go there.Write([]byte("?"))
	f.ServeConn(here)
	require.Zero(t, f.crowd.bytes.Load())
}
