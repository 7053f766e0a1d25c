package replicate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// raft writes the term and then the entry of the first configuration, each
// durably by itself: a kill between the two must not leave a store without
// anybody to elect.
func TestAFirstStartCutShortIsFinishedByTheNext(t *testing.T) {
	d := newDisk()
	require.NoError(t, d.logs.SetUint64([]byte("CurrentTerm"), 1))
	n, r := start(t, d, Config{})
	id := r.session(t, time.Hour)
	stop(t, n)
	_, r = start(t, d, Config{})
	require.True(t, r.alive(id))
}

// A term without a log is a store that lost its entries, unless nothing can
// have been voted or written in it.
func TestATermWithoutALogIsRefused(t *testing.T) {
	for name, values := range map[string]map[string]uint64{
		"of a later term": {"CurrentTerm": 2},
		"with a vote":     {"CurrentTerm": 1, "LastVoteTerm": 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk()
			for key, value := range values {
				require.NoError(t, d.logs.SetUint64([]byte(key), value))
			}
			n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, d.logs, d.snaps)
			require.ErrorIs(t, n.Open(newReplica()), ErrNoLog)
			last, err := d.logs.LastIndex()
			require.NoError(t, err)
			require.Zero(t, last)
		})
	}
}
