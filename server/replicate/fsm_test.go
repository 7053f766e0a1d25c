package replicate

import (
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

type taker struct{ Machine }

func (taker) Apply([]byte) error { return nil }

// A snapshot beside the replay would have every change copied while nobody is
// served yet.
func TestNoSnapshotIsDueBeforeTheLogOfAStartIsApplied(t *testing.T) {
	const last = 5
	f := &fsm{
		machine: taker{}, threshold: 2 * entryOverheadBytes, committing: func(logID) {}, applied: func() {},
		snapshotDue: make(chan struct{}, 1), newTerm: make(chan struct{}, 1),
	}
	f.begin(last)
	for i := range uint64(last - 1) {
		f.Apply(&raft.Log{Index: 1 + i, Term: 1, Type: raft.LogCommand})
	}
	require.Empty(t, f.snapshotDue)
	f.Apply(&raft.Log{Index: last, Term: 1, Type: raft.LogCommand})
	require.Len(t, f.snapshotDue, 1, "its whole size counts")
	f.begin(0)
	f.Apply(&raft.Log{Index: last + 1, Term: 1, Type: raft.LogCommand})
	f.Apply(&raft.Log{Index: last + 2, Term: 1, Type: raft.LogCommand})
	require.Len(t, f.snapshotDue, 1)
}
