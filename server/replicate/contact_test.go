package replicate

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// askedWhileMarked is a machine that is asked for the contact by a pong, under
// its lock, at the very moment in which it is asked for its mark.
type askedWhileMarked struct {
	*replica
	contact func() time.Duration
	asked   atomic.Int64
	stuck   atomic.Bool
}

func (m *askedWhileMarked) Mark() (zxid, digest uint64) {
	told := make(chan struct{})
	go func() {
		m.contact()
		close(told)
	}()
	select {
	case <-told:
		m.asked.Add(1)
	case <-time.After(20 * time.Second):
		m.stuck.Store(true)
	}
	return m.replica.Mark()
}

// A pong tells the contact while the machine's lock is held for reading, and a
// touch brings the mark, for which that lock is taken: an entry to be applied
// between the two would have all three wait for each other.
func TestContactIsToldWhileATouchLooksAtTheMachine(t *testing.T) {
	m := &askedWhileMarked{replica: newReplica()}
	n := New(Config{ID: 2, Data: "two"}, nil, nil)
	m.contact = n.Contact
	n.machine = m
	touch := n.streams.touch
	first := touch.touch(nil)
	require.False(t, m.stuck.Load(), "a touch holds its lock while it waits for the machine's")
	require.NotEmpty(t, touch.again(nil))
	require.False(t, m.stuck.Load(), "so does what is sent again")
	require.NotEmpty(t, first)
	require.Equal(t, int64(2), m.asked.Load())
}
